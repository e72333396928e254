import insitu as si

labels = si.asarray([0.0, 2.0, 1.0])
rows = si.one_hot(labels, 3)
