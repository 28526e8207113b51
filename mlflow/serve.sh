#!/bin/sh
# MLflow's tracking server for a team, with names and passwords, on PostgreSQL.
# The container of compose.yaml runs this very script. All settings come from the environment,
# where other users of the machine cannot read them; README.md explains each.
set -eu

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

refuse() {
    echo "serve.sh: $1" >&2
    exit 2
}

for name in PGHOST PGUSER PGDATABASE MLFLOW_ARTIFACTS_DESTINATION \
    MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY; do
    eval "value=\${$name:-}"
    [ -n "$value" ] || refuse "set $name; README.md says to what"
done
# PGPASSWORD may be in ~/.pgpass instead.
for name in PGPASSWORD MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY; do
    eval "value=\${$name:-}"
    [ "$value" != change-me ] || refuse "$name is still the example's; choose your own"
done
# Earlier versions of MLflow made everybody's admin with it.
[ "$MLFLOW_AUTH_ADMIN_PASSWORD" != password1234 ] ||
    refuse "MLFLOW_AUTH_ADMIN_PASSWORD is the one that everybody knows; choose another"
[ "${#MLFLOW_AUTH_ADMIN_PASSWORD}" -ge 12 ] ||
    refuse "MLFLOW_AUTH_ADMIN_PASSWORD is too short: MLflow wants 12 characters or more"

# Server, role and password are in PostgreSQL's own variables.
export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://
export MLFLOW_AUTH_CONFIG_PATH="$folder/basic_auth.ini"
export MLFLOW_WORKERS="${MLFLOW_WORKERS:-2}"
# What a tracking server for small networks does without.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY=true

exec mlflow server --app-name basic-auth --serve-artifacts
