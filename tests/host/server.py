# SPDX-License-Identifier: LGPL-2.1-or-later
#
# server.py DIRECTORY PORT [CERTIFICATE KEY]: serves files, in parts as well. With break=N a connection ends after so many bytes, and the
# same file with etag=new is another one each time; "slow" takes its time; "redirect" leads elsewhere.

import http.server
import itertools
import os
import ssl
import sys
import time
from urllib.parse import parse_qs, urlparse

numbers = itertools.count()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", query["to"])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        slow = url.path == "/slow"
        try:
            with open(os.path.join(sys.argv[1], query["file"] if slow else url.path[1:]), "rb") as file:
                data = file.read()
        except OSError:
            self.send_error(404)
            return
        begin = 0
        tag = '"%s"' % (next(numbers) if query.get("etag") == "new" else "same")
        wanted = self.headers.get("Range")
        if wanted:
            print("Range:", wanted, flush=True)
        if wanted and self.headers.get("If-Range", tag) == tag:
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", "bytes %i-%i/%i" % (begin, len(data) - 1, len(data)))
        else:
            self.send_response(200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        data = data[begin:]
        if "break" in query and begin == 0:
            self.wfile.write(data[:int(query["break"])])
            self.wfile.flush()
            self.close_connection = True
            return
        step = max(len(data) // 30, 1) if slow else len(data) or 1
        for i in range(0, len(data), step):
            self.wfile.write(data[i:i + step])
            if slow:
                time.sleep(0.1)

    def log_message(self, format, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("", int(sys.argv[2])), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
