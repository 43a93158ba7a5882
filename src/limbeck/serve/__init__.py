"""Exported students at work: ONNX Runtime and the tokeniser, and no PyTorch."""
