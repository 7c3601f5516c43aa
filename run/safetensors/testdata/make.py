"""Makes python.safetensors with the reference implementation: pip install safetensors numpy; python make.py"""

import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "weight": np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 1,
        "scalar": np.array(0.1, dtype=np.float32),
        "empty": np.zeros((0, 5), dtype=np.float32),
        "special": np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], dtype=np.float32),
        "größe ⊗ \"L\"": np.array([3.0], dtype=np.float32),
        "half": np.array([1.5, 2.5, 3.5], dtype=np.float16),
        "tokens": np.array([[1, -2], [3, 1 << 40]], dtype=np.int64),
        "mask": np.array([True, False, True]),
    },
    "python.safetensors",
    metadata={"step": "500", "note": "two\nlines, ü"},
)
