"""What DeepSpeech.py and the programs in bin/ are built from: one job per module."""
