"""The numpy core: arrays in, arrays out, no files, no printing."""
