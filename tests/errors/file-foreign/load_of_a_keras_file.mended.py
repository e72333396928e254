import pathlib

import insitu as si

pathlib.Path("model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
model = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(1)])
model.save("model.insitu")
model = si.load("model.insitu")
