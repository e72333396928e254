import insitu as si

layer = si.nn.Dense(10, kernel_initializer="xavier_uniform")
