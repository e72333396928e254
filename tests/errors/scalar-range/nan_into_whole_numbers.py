import insitu as si

counts = [3, 1, float("nan")]
x = si.asarray(counts, dtype="int32")
