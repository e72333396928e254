import insitu as si

layer = si.nn.Dropout(0.2)
