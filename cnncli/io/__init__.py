"""Files in and out: pictures, arrays, remote files; nothing is half written."""
