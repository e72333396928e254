import insitu as si

x = si.zeros(3, dtype="float32")
