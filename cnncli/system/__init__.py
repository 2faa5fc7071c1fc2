"""What differs between platforms: processes, threads, signals, memory, new files."""
