import insitu as si

small = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(8, name="hidden"), si.nn.Dense(1, name="out")])
small.save_weights("small.safetensors")
large = si.nn.Sequential([si.nn.Input((4,)), si.nn.Dense(8, name="hidden"), si.nn.Dense(1, name="out")])
large.load_weights("small.safetensors")
