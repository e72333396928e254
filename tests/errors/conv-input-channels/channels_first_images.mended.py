import numpy as np

import insitu as si

images = np.zeros((4, 3, 32, 32), "float32")
labels = np.arange(4)
model = si.nn.Sequential(
    [
        si.nn.Input((32, 32, 3)),
        si.nn.Conv2D(4, 3, activation="relu"),
        si.nn.GlobalAveragePooling2D(),
        si.nn.Dense(4, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images.transpose(0, 2, 3, 1), labels, verbose=0)
