"""What people write today: scikit-learn's network, an Optuna study, MLflow's fluent calls.

Twenty trials of twenty epochs on the digits, every measurement logged as it is made. Run it in an
empty folder, with a seed as its argument. It leaves ``optuna.db`` and ``mlflow.db`` there and
prints one JSON object, whose ``search`` seconds go from the first ask to the last record; imports,
data and the creation of the two stores come before and are given separately.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

TRIALS = 20
EPOCHS = 20
BATCH = 32


def main(seed: int) -> None:
    """Run the search and print what it took.

    Args:
        seed: What the split, the sampler and the networks draw from.
    """
    begin = time.perf_counter()
    import mlflow
    import numpy as np
    import optuna
    from sklearn.datasets import load_digits
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    imported = time.perf_counter()
    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=seed
    )
    scaler = StandardScaler().fit(x_train)
    x_train = scaler.transform(x_train).astype(np.float32)
    x_val = scaler.transform(x_val).astype(np.float32)
    classes = np.unique(y)

    def objective(trial: optuna.Trial) -> float:
        depth = trial.suggest_int("depth", 1, 3)
        width = trial.suggest_int("width", 16, 256, log=True)
        model = MLPClassifier(
            hidden_layer_sizes=(width,) * depth,
            activation=trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
            solver="adam",
            learning_rate_init=trial.suggest_float("learning_rate_init", 1e-4, 1e-1, log=True),
            beta_1=trial.suggest_float("beta_1", 0.8, 0.99),
            alpha=0.0,
            batch_size=BATCH,
            random_state=seed,
        )
        accuracy = 0.0
        with mlflow.start_run(run_name=f"trial {trial.number}", nested=True):
            mlflow.log_params(trial.params)
            for epoch in range(1, EPOCHS + 1):
                model.partial_fit(x_train, y_train, classes=classes)
                probabilities = model.predict_proba(x_val)
                accuracy = float(np.mean(classes[probabilities.argmax(axis=1)] == y_val))
                # One call an epoch: a call for each value would make the script slower still.
                mlflow.log_metrics(
                    {
                        "train_loss": model.loss_,
                        "val_loss": log_loss(y_val, probabilities),
                        "val_accuracy": accuracy,
                    },
                    step=epoch,
                )
                trial.report(accuracy, epoch)
        return accuracy

    prepared = time.perf_counter()
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("digits")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="digits",
        storage="sqlite:///optuna.db",
        sampler=optuna.samplers.TPESampler(seed=seed),
        direction="maximize",
    )

    stored = time.perf_counter()
    with mlflow.start_run(run_name="digits"):
        study.optimize(objective, n_trials=TRIALS)
        mlflow.log_params(study.best_params)
        mlflow.log_metric("best_accuracy", study.best_value)
    finished = time.perf_counter()

    report: dict[str, Any] = {
        "trials": len(study.trials),
        "best": {"value": study.best_value, "params": study.best_params},
        "seconds": {
            "imports": imported - begin,
            "data": prepared - imported,
            "stores": stored - prepared,
            "search": finished - stored,
        },
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
