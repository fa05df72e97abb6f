// SPDX-License-Identifier: MIT
// node bundle.mjs SITE > vcpu.html: the page, its Worker, both modules and the demo guest in one file, which needs no server. From
// file: a browser takes neither scripts nor Workers of other files: the page's scripts become Blobs, and import each other as
// such; those of the Worker, which may not import them, become one.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const site = process.argv[2], read = (name) => readFileSync(`${site}/${name}`, 'utf8');
// Each after those that it imports.
const WORKER = ['wasi.js', 'stitch.js', 'vcpu.js', 'files.js', 'worker.js'];
const SCRIPTS = ['timeline.js', 'xterm.mjs', 'terminal.js', 'keys.js', 'panels.js', 'page.js'];
const BINARIES = ['vcpu.wasm', 'plain.wasm', 'guests/demo_guest.elf'].filter((name) => existsSync(`${site}/${name}`));

// The module is handed to the Worker: it looks for no file of its own.
const together = WORKER.map((name) => read(name).replace('new URL(`${variant()}.wasm`, import.meta.url)', 'null')
	.replace(/^import .*;$/gm, '').replace(/^export \{.*\};$/gm, '').replace(/^export /gm, '')).join('\n');
const scripts = [['worker.js', `'use strict';\n${together}`]].concat(SCRIPTS.map((name) => [name, read(name).replace(/^\/\/# sourceMappingURL.*$/m, '')]));
const binaries = BINARIES.map((name) => [name, gzipSync(readFileSync(`${site}/${name}`), { level: 9 }).toString('base64')]);

// What the page does first.
async function begin(parts) {
	const urls = {}, address = (name) => JSON.stringify(urls[name]), binaries = {};

	for (const [name, base64] of parts.binaries) {
		const packed = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
		const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));

		binaries[name] = await new Response(stream).arrayBuffer();
	}
	globalThis.vcpuBundle = {
		modules: { vcpu: binaries['vcpu.wasm'], plain: binaries['plain.wasm'] },
		guests: parts.guests.map((guest) => ({ ...guest, files: guest.files.map(([name, file]) => [name, new Blob([binaries[file]])]) })),
	};
	for (const [name, source] of parts.scripts) {
		const text = source.replace(/from '\.\/([^']+)'/g, (all, other) => `from ${address(other)}`)
			.replace("new URL('worker.js', import.meta.url), { type: 'module' }", () => address('worker.js'));

		urls[name] = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
	}
	await import(urls['page.js']);
}

const guests = JSON.parse(read('guests.json')).filter((guest) => guest.files.every(([, file]) => BINARIES.includes(file)));
const parts = JSON.stringify({ scripts, binaries, guests }).replaceAll('<', '\\u003c');
const script = `(${begin})(JSON.parse(document.getElementById('parts').textContent));`;
const hash = createHash('sha256').update(script).digest('base64');
const style = ['xterm.css', 'page.css'].map((name) => `<style>\n${read(name)}</style>`).join('\n');

process.stdout.write(read('index.html')
	.replace("script-src 'self' 'wasm-unsafe-eval'", () => `script-src 'sha256-${hash}' blob: 'wasm-unsafe-eval'`)
	.replace(/<link rel="stylesheet"[^>]*>\n/g, '')
	.replace('<script type="module" src="page.js"></script>', () => style)
	.replace('</body>', () => `<script type="application/json" id="parts">${parts}</script>\n<script>${script}</script>\n</body>`));
