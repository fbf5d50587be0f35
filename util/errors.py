"""The errors a user can cause; the message is one sentence a user can act on.

A message says what was found, what was expected, where, and what to do. Only programs (DeepSpeech.py
and bin/) catch these and turn them into an exit status; util/ raises them and never exits.
"""

from __future__ import annotations


class DeepSpeechError(Exception):
    """Root of every error whose message is meant for the user."""

    exit_status = 1


class UsageError(DeepSpeechError):
    """A flag or argument is wrong, missing, or contradicts another."""

    exit_status = 2


class DataError(DeepSpeechError):
    """A CSV, alphabet or transcript cannot be used."""


class AudioError(DataError):
    """An audio file cannot be read as speech."""


class UnsupportedAudioError(AudioError):
    """An audio file is of a kind that another program must convert first."""


class CheckpointError(DeepSpeechError):
    """A checkpoint cannot be read, written, or does not fit the run."""


class ScorerError(DeepSpeechError):
    """A scorer cannot be built or used."""


class ExportError(DeepSpeechError):
    """A network cannot be exported, or an exported file does not say what the checkpoint says."""


class TrainingError(DeepSpeechError):
    """Training cannot go on, for instance because the loss is no longer a number."""


class ClusterError(DeepSpeechError):
    """A task of the cluster cannot start, cannot be reached, or has been lost."""


class DecoderError(DeepSpeechError):
    """Beam search is not installed, or cannot read what the network says."""
