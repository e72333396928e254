import pathlib

import insitu as si

pathlib.Path("model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
model = si.load("model.h5")
