"""Serves a folder like S3 and Google Cloud Storage; its subfolders are the buckets. Only what pyarrow needs."""

import io
import json
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", size=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        path = url.path.removeprefix("/download").removeprefix("/storage/v1/b/").strip("/")
        google = path != url.path.strip("/")
        bucket, _, key = path.partition("/")
        if google:
            listing, key = key == "o", unquote(key.removeprefix("o").removeprefix("/"))
        else:
            listing, key = "list-type" in query, unquote(key)
        if bucket == "denied":
            refusal = b"<Error><Code>AccessDenied</Code><Message>no\nentry</Message></Error>"
            self.answer(403, b"{}" if google else refusal)
        elif not (self.server.folder / bucket).is_dir():
            self.answer(404, b"{}" if google else b"<Error><Code>NoSuchBucket</Code></Error>")
        elif listing:
            self.list(bucket, google, query.get("prefix", ""), query.get("delimiter", ""))
        elif not key:
            self.answer(200, json.dumps({"kind": "storage#bucket", "name": bucket}).encode() if google else b"")
        else:
            self.read(bucket, google and "alt" not in query, key)

    do_HEAD = do_GET

    def list(self, bucket, google, prefix, delimiter):
        root = self.server.folder / bucket
        keys = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        files, folders = [], set()
        for key in keys:
            if key.startswith(prefix):
                head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                if mark:
                    folders.add(prefix + head + mark)
                else:
                    files.append((key, (root / key).stat().st_size))
        if google:
            items = [self.item(bucket, key, size) for key, size in files]
            self.answer(200, json.dumps({"items": items, "prefixes": sorted(folders)}).encode())
            return
        date = "2024-01-01T00:00:00.000Z"
        rows = [
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><LastModified>{date}</LastModified></Contents>"
            for key, size in files
        ]
        rows += [f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>" for key in sorted(folders)]
        count = f"<KeyCount>{len(rows)}</KeyCount><IsTruncated>false</IsTruncated>"
        self.answer(200, f"<ListBucketResult>{count}{''.join(rows)}</ListBucketResult>".encode())

    def item(self, bucket, key, size):
        date = "2024-01-01T00:00:00.000Z"
        return {"kind": "storage#object", "bucket": bucket, "name": key, "size": str(size), "updated": date}

    def read(self, bucket, describe, key):
        path = self.server.folder / bucket / key
        if not path.is_file():
            self.answer(404, b"{}")
        elif describe:
            self.answer(200, json.dumps(self.item(bucket, key, path.stat().st_size)).encode())
        elif self.command == "HEAD":
            self.answer(200, size=path.stat().st_size)
        elif self.headers.get("Range"):
            data = path.read_bytes()
            start, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            stop = min(int(end) + 1, len(data)) if end else len(data)
            content_range = f"bytes {start}-{stop - 1}/{len(data)}"
            self.answer(206, data[int(start) : stop], Content_Range=content_range)
        else:
            self.answer(200, path.read_bytes())

    def do_PUT(self):
        url, body = urlsplit(self.path), self.body()
        name, total = unquote(url.path).strip("/"), self.headers.get("Content-Range", "").rpartition("/")[2]
        if name.startswith("session/"):  # a part of a Google upload
            name = name.removeprefix("session/")
            uploads[name] = uploads.get(name, b"") + body
            if total == "*":
                self.answer(308, Range=f"bytes=0-{len(uploads[name]) - 1}")
                return
            data = uploads.pop(name)
            self.store(name, data)
            self.answer(200, json.dumps(self.item(*name.split("/", 1), len(data))).encode())
        elif "uploadId" in url.query:  # a part of an S3 upload
            uploads[name, int(parse_qs(url.query)["partNumber"][0])] = body
            self.answer(200, ETag='"etag"')
        else:
            self.store(name, body)
            self.answer(200, ETag='"etag"')

    def do_POST(self):
        url, body = urlsplit(self.path), self.body()
        name, query = unquote(url.path).strip("/"), parse_qs(url.query, keep_blank_values=True)
        if name.startswith("upload/"):
            bucket = name.removeprefix("upload/storage/v1/b/").removesuffix("/o")
            address = f"http://{self.headers['Host']}/session/{bucket}/{quote(query['name'][0])}"
            self.answer(200, b"{}", Location=address)
        elif "uploads" in query:
            self.answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        elif "uploadId" in query:
            parts = sorted(key for key in uploads if isinstance(key, tuple) and key[0] == name)
            self.store(name, b"".join(uploads.pop(part) for part in parts))
            self.answer(200, b"<CompleteMultipartUploadResult><ETag>etag</ETag></CompleteMultipartUploadResult>")
        else:  # S3's request to delete several objects
            for key in ElementTree.fromstring(body).iterfind(".//{*}Key"):
                self.remove(self.server.folder / name / key.text)
            self.answer(200, b"<DeleteResult></DeleteResult>")

    def do_DELETE(self):
        bucket, _, key = urlsplit(self.path).path.removeprefix("/storage/v1/b/").strip("/").partition("/")
        google = self.path.startswith("/storage")
        key = key.removeprefix("o/") if google else key
        removed = self.remove(self.server.folder / bucket / unquote(key))
        self.answer(204 if removed or not google else 404, b"{}" if google else b"")

    def remove(self, path):
        if not path.is_file():  # a store has no folders
            return False
        path.unlink()
        while path.parent.parent != self.server.folder and not any(path.parent.iterdir()):
            path = path.parent
            path.rmdir()
        return True

    def store(self, name, data):
        path = self.server.folder / name
        if self.path.endswith("/"):  # S3's marker of an empty folder
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = self.chunks(self.rfile)
        return self.chunks(io.BytesIO(data)) if "aws-chunked" in self.headers.get("Content-Encoding", "") else data

    def chunks(self, file):
        data = b""
        while size := int(file.readline().partition(b";")[0], 16):
            data += file.read(size)
            file.readline()
        while file.readline().strip():  # trailers
            pass
        return data


uploads = {}  # what has arrived of uploads that are not complete


@contextmanager
def served(folder):
    """Runs the server and yields its address. It is a separate process, because pyarrow may hold the GIL."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


if __name__ == "__main__":
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.folder, listening.daemon_threads = Path(sys.argv[1]), True
    print(listening.server_address[1], flush=True)
    listening.serve_forever()


def use_store(monkeypatch, address):
    """Makes gs:// and s3:// lead to the test server at `address`."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CLOUD_STORAGE_EMULATOR_ENDPOINT": address,
    }.items():
        monkeypatch.setenv(name, value)
