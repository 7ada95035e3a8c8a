"""The libraries that are compared, one file each, and the cases that they are compared in.

A file has up to three classes, `Trainer`, `Perceptron` and `Classifier`, for
the cases that its library takes part in. What their `__init__` does is not
timed; it takes the case, the data and the number of threads.
"""
