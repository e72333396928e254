import insitu as si


class Projection(si.nn.Layer):
    def build(self, input_shape):
        self.matrix = self.add_weight((input_shape[-1], 8), name="matrix")

    def call(self, x):
        return x @ self.matrix.value


model = si.nn.Sequential([si.nn.Input((4,)), Projection()])
