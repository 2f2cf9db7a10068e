"""Short runs that find limits: batch size, learning rate, warmup, training length."""
