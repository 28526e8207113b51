"""The optimizer SOAP, as a plugin of tunekit."""

from __future__ import annotations

import math

import numpy as np

from tunekit import Array, Float, Int, Optimizer, State, Step, hookimpl

BELOW_ONE = 1 - 1e-6
SIDES = (("left", 0), ("right", 1))


class Soap(Optimizer):
    """Adam in the eigenbasis of Shampoo (Vyas et al., 2024, arXiv:2409.11321).

    Each weight matrix has running averages of ``g g'`` (left) and ``g' g`` (right). With their
    eigenvectors as the columns of `P` and `Q`::

        h = P' g Q
        m = beta1 m + (1 - beta1) h         v = beta2 v + (1 - beta2) h^2
        w -= lr (c P (m / (sqrt(v) + eps)) Q' + weight_decay w)

    where `c` is Adam's correction. Every `precondition_frequency` steps, one power iteration and a
    QR decomposition bring the basis nearer to the eigenvectors; `m` is turned into the new basis,
    and `v` sorted as the basis is. A side above `max_precond_dim` keeps its own coordinates, and so
    do vectors: theirs is Adam. The averages discount by `shampoo_beta`, or by `beta2` where that is
    negative.

    As in the authors' code, the first step moves nothing: it only makes the first basis, so that no
    gradient is ever seen in a basis that was made from itself.
    """

    name = "soap"
    slots = ("m", "v")
    scope = "tensor"
    lr: float = Float(3e-3, low=5e-4, high=2e-2, log=True)
    beta1: float = Float(0.95, low=0.8, high=0.99, min=0.0, max=BELOW_ONE)
    beta2: float = Float(0.95, low=0.9, high=0.999, min=0.0, max=BELOW_ONE)
    shampoo_beta: float = Float(-1.0, min=-1.0, max=BELOW_ONE)
    weight_decay: float = Float(1e-2, low=1e-4, high=1.0, log=True, min=0.0)
    precondition_frequency: int = Int(10, min=1)
    max_precond_dim: int = Int(512, min=0)
    eps: float = Float(1e-8, min=0.0)

    def initial_state(self, w: Array) -> State:
        """The slots, and for each preconditioned side its average and its basis."""
        state = super().initial_state(w)
        if w.ndim == 2:
            for side, axis in SIDES:
                size = w.shape[axis]
                if size <= self.max_precond_dim:
                    state[side] = np.zeros((size, size), w.dtype)
                    state[f"{side}_basis"] = np.eye(size, dtype=w.dtype)
        return state

    def direction(self, w: Array, g: Array, state: State, step: Step) -> Array:
        """Adam's direction, found in the basis of the steps before this one."""
        if step.t == 1:
            self._observe(g, state)
            for side, _ in SIDES:
                if side in state:
                    state[f"{side}_basis"] = eigenvectors(state[side])
            return np.zeros_like(w)
        taken = step.t - 1
        update = self._adam(turned(g, state), state, taken)
        update = turned_back(update, state)
        if self.weight_decay:
            update += self.weight_decay * w
        self._observe(g, state)
        if taken % self.precondition_frequency == 0:
            refresh(state)
        return update

    def _adam(self, h: Array, state: State, taken: int) -> Array:
        """Adam's direction, `eps` before the correction as in the authors' code.

        The averages are held as discounted sums: it saves a pass over the matrix for each.
        """
        m, v = state["m"], state["v"]
        m *= self.beta1
        m += h
        update: Array = np.square(h)
        v *= self.beta2
        v += update
        np.sqrt(v, out=update)
        root = math.sqrt(1 - self.beta2)
        update += self.eps / root
        # Both are 0 where there never was a gradient, and `eps` may be 0.
        np.divide(m, update, out=update, where=update > 0)
        correction = math.sqrt(1 - self.beta2**taken) / (1 - self.beta1**taken)
        update *= correction * (1 - self.beta1) / root
        return update

    def _observe(self, g: Array, state: State) -> None:
        """Take a gradient into the averages, as discounted sums: only their eigenvectors count."""
        beta = self.beta2 if self.shampoo_beta < 0 else self.shampoo_beta
        for side, axis in SIDES:
            if side in state:
                state[side] *= beta
                state[side] += g @ g.T if axis == 0 else g.T @ g


def turned(x: Array, state: State) -> Array:
    """A matrix in the coordinates of the basis."""
    if "left" in state:
        x = state["left_basis"].T @ x
    if "right" in state:
        x = x @ state["right_basis"]
    return x


def turned_back(x: Array, state: State) -> Array:
    """A matrix in the coordinates of the parameters, from those of the basis."""
    if "left" in state:
        x = state["left_basis"] @ x
    if "right" in state:
        x = x @ state["right_basis"].T
    return x


def eigenvectors(matrix: Array) -> Array:
    """The eigenvectors of a symmetric matrix as columns; the identity if there are none."""
    try:
        found: Array = np.linalg.eigh(matrix)[1]
    except np.linalg.LinAlgError:  # the gradient was not finite
        found = np.eye(len(matrix), dtype=matrix.dtype)
    return found


def refresh(state: State) -> None:
    """Bring each basis nearer to the eigenvectors, and `m` and `v` along with it."""
    for side, axis in SIDES:
        if side not in state:
            continue
        old = state[f"{side}_basis"]
        image = state[side] @ old
        order = np.argsort(-np.einsum("ij,ij->j", old, image), kind="stable")
        new = np.linalg.qr(image[:, order])[0]
        if not np.isfinite(new).all():
            continue  # the average overflowed: an old basis is better than none
        turn = old.T @ new
        state["m"] = turn.T @ state["m"] if axis == 0 else state["m"] @ turn
        state["v"] = state["v"].take(order, axis)
        state[f"{side}_basis"] = new


@hookimpl
def tunekit_optimizers() -> list[type[Optimizer]]:
    """Bring the optimizer of this file."""
    return [Soap]
