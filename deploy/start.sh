#!/bin/sh
# One server in this container. CONFIG names what it is made of; deployments/launch.py reads deployments/serve.env.
set -eu
python -m deployments.weights --config "$CONFIG" # says so where everything is there already
exec python -m deployments.launch --config "$CONFIG" --host 0.0.0.0
