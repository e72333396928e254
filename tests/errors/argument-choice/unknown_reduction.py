import insitu as si

loss = si.nn.losses.MeanSquaredError(reduction="average")
