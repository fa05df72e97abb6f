// SPDX-License-Identifier: MIT
// node serve.mjs FOLDER [PORT]: what is in FOLDER, on the loopback interface, with ranges. It prints the address.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css',
	'.json': 'application/json', '.wasm': 'application/wasm' };

export function serve(folder, port = 0) {
	const server = createServer((request, response) => {
		const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
		const name = join(folder, path.endsWith('/') ? `${path}index.html` : path);
		const stat = statSync(name, { throwIfNoEntry: false });

		if (!stat?.isFile() || !['GET', 'HEAD'].includes(request.method)) {
			response.writeHead(404).end('not found\n');
			return;
		}
		const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
		const start = Number(first ?? 0), end = Math.min(last ? Number(last) : Infinity, stat.size - 1);

		response.writeHead(first ? 206 : 200, {
			'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream', 'Content-Length': Math.max(0, end - start + 1),
			'Accept-Ranges': 'bytes', ...first && { 'Content-Range': `bytes ${start}-${end}/${stat.size}` },
		});
		if (request.method === 'HEAD' || !stat.size)
			response.end();
		else
			createReadStream(name, { start, end }).pipe(response);
	});

	return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	const server = await serve(process.argv[2], Number(process.argv[3] ?? 8080));

	console.log(`http://127.0.0.1:${server.address().port}/`);
}
