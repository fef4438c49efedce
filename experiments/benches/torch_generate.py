"""The process of transformers in bench_sampler.py: generate on a GPT-2 with random weights.

It needs only PyTorch and transformers, so that it can run in a separate environment.
"""

import json
import sys
import time

import torch
import transformers

END_OF_TEXT = 50_256


def main(settings: dict) -> None:
    """Prints a line of facts when ready; then reads jobs and prints the seconds for n samples of a prompt."""
    torch.manual_seed(0)
    torch.set_num_threads(settings["threads"])
    config = transformers.GPT2Config(
        n_layer=settings["layers"],
        n_embd=settings["width"],
        n_head=settings["heads"],
        n_positions=settings["context"],
        vocab_size=settings["vocab"],
        eos_token_id=END_OF_TEXT,
        bos_token_id=END_OF_TEXT,
    )
    device = {"cpu": "cpu", "gpu": "cuda"}[settings["device"]]
    model = transformers.GPT2LMHeadModel(config).to(device, getattr(torch, settings["dtype"])).eval()
    version = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(json.dumps({"parameters": model.num_parameters(), "version": version}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        prompt = torch.randint(0, END_OF_TEXT, (1, job["prompt"]), device=device)
        start = time.perf_counter()
        with torch.inference_mode():
            tokens = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=True,
                temperature=settings["temperature"],
                top_p=settings["top_p"],
                top_k=0,
                num_return_sequences=job["n"],
                max_new_tokens=job["new"],
                min_new_tokens=job["new"],
                pad_token_id=END_OF_TEXT,
            )
            tokens = tokens.cpu()  # waits for the GPU
        seconds = time.perf_counter() - start
        assert tokens.shape == (job["n"], job["prompt"] + job["new"])
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
