import insitu as si

layer = si.nn.Activation("swish")
