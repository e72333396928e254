"""Buffers, threads, the kernel cache on disk, and running a finished `Program`."""
