"""Networks trained by backpropagation: parameters, forward and backward pass, training."""
