import pathlib

import insitu as si

si.save("table.insitu", {"w": si.ones((100, 10))})
content = pathlib.Path("table.insitu").read_bytes()
pathlib.Path("copy.insitu").write_bytes(content)
table = si.load("copy.insitu")
