"""What a table of interactions seems to mean: a proposal, with a reason for each part of it."""

from hbpr.data.guess.columns import Roles, guess_roles, with_role_names
from hbpr.data.guess.form import Sample, look
from hbpr.data.guess.meaning import Proposal, propose

__all__ = ["Proposal", "Roles", "Sample", "guess_roles", "look", "propose", "with_role_names"]
