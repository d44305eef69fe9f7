#!/usr/bin/env bash
# The step of action.yml: options from variables, findings as annotations and in the summary, the exit code as output.
set -uo pipefail
options=()
[ -z "${POLICY:-}" ] || options+=(--policy "$POLICY")
[ -z "${PROFILE:-}" ] || options+=(--profile "$PROFILE")
[ -z "${BASELINE:-}" ] || options+=(--baseline "$BASELINE")
[ -z "${SARIF:-}" ] || options+=(-o "sarif=$SARIF")
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || options+=(-o "markdown=$GITHUB_STEP_SUMMARY")
# split at white space, and nothing else: no globbing, no quotes, no expansion
read -r -d '' -a models <<<"${MODELS:-}" || true
read -r -d '' -a more <<<"${ARGUMENTS:-}" || true
onnxspec check -q -f github "${options[@]}" "${more[@]}" -- "${models[@]}"
code=$?
[ -z "${GITHUB_OUTPUT:-}" ] || echo "exit-code=$code" >>"$GITHUB_OUTPUT"
exit "$code"
