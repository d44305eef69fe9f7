"""Rules, policies and what they say about a report; works without the model."""

from onnxspec.policy.evaluate import check, without_report
from onnxspec.policy.load import load_policy, parse_policy, profile, template
from onnxspec.policy.model import FileRules, Pins, Policy, Waiver

__all__ = [
    "FileRules",
    "Pins",
    "Policy",
    "Waiver",
    "check",
    "load_policy",
    "parse_policy",
    "profile",
    "template",
    "without_report",
]
