// SPDX-License-Identifier: MIT
// node browser.mjs SITE PUPPETEER CHROMIUM OUT RECORDING [LINUX]: the page in a browser. Prints lines "name: value" for the script
// beside this; leaves pictures, and recordings that the page made, in OUT. A line "error: ..." for what the page has thrown. LINUX is a recorded boot:
// linux.png, linux-dark.png and linux-phone.png show it.
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , site, modules, chromium, out, recording, linux] = process.argv;
const puppeteer = createRequire(`${modules}/`)('puppeteer-core');
const { serve } = await import(pathToFileURL(`${process.env.srcdir}/frontends/web/serve.mjs`));
const tell = (name, value) => console.log(`${name}: ${value}`);

copyFileSync(recording, `${site}/test.vrr`);
const server = await serve(site), home = `http://127.0.0.1:${server.address().port}/`;
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const page = await browser.newPage();

page.on('pageerror', (error) => tell('error', error.message));
page.on('console', (message) => message.type() === 'error' && tell('error', `${message.text()} ${message.location().url}`));
await page.setViewport({ width: 1280, height: 1000 });

const mode = (wanted) => page.waitForFunction((m) => document.body.dataset.mode === m, { timeout: 200000 }, wanted);
const status = () => page.$eval('#status', (e) => e.textContent);
const text = (selector) => page.$eval(selector, (e) => e.textContent);

async function command(line) {
	await page.$eval('#answers', (e) => e.textContent = '');
	const begin = performance.now();

	await page.$eval('#line', (e, value) => {
		e.value = value;
		e.form.requestSubmit();
	}, line);
	await page.waitForFunction(() => document.querySelector('#answers').textContent && document.body.dataset.mode === 'debug',
		{ timeout: 200000, polling: 5 });
	return { ms: performance.now() - begin, answer: (await text('#answers')).replace(/^.*\n/, '') };
}

const hash = async () => (await command('hash')).answer.match(/[0-9a-f]{16}/)?.[0];

/** What the page shows of a place, however it was reached, as soon as nothing moves any more. */
async function pictures() {
	const look = async () => {
		const all = [];

		for (const part of ['#timeline', '#code', '#frames', '#bytes', '#terminal'])
			all.push(await (await page.$(part)).screenshot());
		return all;
	};
	let before, now = await look();

	do {
		before = now;
		await new Promise((done) => setTimeout(done, 300));
		now = await look();
	} while (different(before, now).length);
	return now;
}

/** Which of the pictures differ. */
const different = (some, others) => others.flatMap((picture, i) => Buffer.compare(picture, some[i]) ? [i] : []);

/** The guest's screen at the end of a recording, beside the PNG of vcpu run --screenshot: pixels that differ. */
async function screen(name, files) {
	await page.goto('about:blank');
	await page.goto(home);
	await mode('empty');
	await (await page.$('#file')).uploadFile(...files, `${out}/${name}.vrr`);
	await mode('debug');
	tell(name, await page.evaluate(async (base64) => {
		const png = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]);
		const image = await createImageBitmap(png), { width, height } = image;
		const canvas = new OffscreenCanvas(width, height).getContext('2d');

		canvas.drawImage(image, 0, 0);
		const [a, b] = [canvas, document.querySelector('#screen').getContext('2d')]
			.map((g) => new Uint32Array(g.getImageData(0, 0, width, height).data.buffer));
		const different = a.filter((pixel, i) => pixel !== b[i]);

		return `${width}x${height}, ${different.length} of ${a.length} differ`;
	}, readFileSync(`${out}/${name}.png`).toString('base64')));
}

async function debugging() {
	let begin = performance.now();

	await page.goto(`${home}#recording=test.vrr&at=1000000`);
	tell('painted', Math.round(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0)));
	await mode('debug');
	await page.waitForFunction(() => document.body.dataset.place === '1000000', { timeout: 200000 });
	tell('opened', Math.round(performance.now() - begin));
	tell('at 1000000', await hash());
	begin = performance.now();
	await page.click('[data-line="reverse-stepi"]');
	await page.waitForFunction(() => document.body.dataset.place === '999999', { polling: 5 });
	tell('step back', Math.round(performance.now() - begin));
	tell('at 999999', await hash());
	const stepped = await pictures();

	await page.goto('about:blank');
	await page.goto(`${home}#recording=test.vrr&at=999999`);
	await page.waitForFunction(() => document.body.dataset.place === '999999', { timeout: 200000 });
	await mode('debug');
	tell('pictures by a link', different(stepped, await pictures()).join(' '));
	tell('registers', await page.$$eval('.register', (all) => all.length));
	tell('code', await page.$$eval('#code li', (all) => all.length));
	tell('here', await page.$eval('#code .here .address', (e) => e.textContent));
	await page.focus('#timeline');
	await page.keyboard.press('End');
	await page.waitForFunction(() => Number(document.body.dataset.place) > 1000000, { timeout: 100000 });
	await mode('debug');
	tell('at the end', await hash());
	await page.screenshot({ path: `${out}/page.png` });
	await page.type('#text', 'in');
	await page.click('[name="previous"]');
	await page.waitForFunction(() => /\d/.test(document.querySelector('#found').textContent));
	await mode('debug');
	tell('found', await text('#found'));
	await command('goto end');
	await page.click('#code li:nth-child(2) .stop');
	await page.waitForFunction(() => document.querySelector('#stops li'));
	tell('breakpoints', await page.$$eval('#stops li', (all) => all.length));
	await mode('debug');
	await page.click('#link');
	await page.waitForFunction(() => location.hash.includes('at='));
	tell('link', new URL(page.url()).hash);
	await page.click('#verify');
	await page.waitForFunction(() => /^Verified|differ/.test(document.querySelector('#status').textContent), { timeout: 200000 });
	tell('verified', await status());
}

/**
 * Record the guest whose name begins so; LIVE is called while it runs. Its recording is NAME.vrr. KEEP: the browser keeps
 * what it writes.
 */
async function record(name, guest, image, live, keep = false) {
	await page.goto('about:blank');
	await page.goto(home);
	await page.waitForFunction(() => document.querySelector('#guest').options.length > 0);
	await page.click('#try summary');
	await page.select('#guest', await page.$$eval('#guest option', (all, wanted) => all.find((e) => e.text.startsWith(wanted)).value, guest));
	if (image)
		await (await page.$('#image')).uploadFile(image);
	if (keep)
		await page.click('#keep');
	await page.click('#start > button');
	await mode('live');
	await live();
	await page.click('#finish');
	await mode('debug');
	tell(name, await hash());
	await page.click('#download');
	for (let i = 0; i < 100 && !existsSync(`${out}/recording.vrr`); i++)
		await new Promise((done) => setTimeout(done, 100));
	renameSync(`${out}/recording.vrr`, `${out}/${name}.vrr`);
}

async function tryGuests() {
	const client = await page.createCDPSession();

	await client.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: out });
	await record('live', 'the demo', null, () => new Promise((done) => setTimeout(done, 1500)));
	if (!process.env.ISO)
		return;
	await record('iso', 'a PC', process.env.ISO, async () => {
		// GRUB's prompt: the picture is on when a key is typed
		await page.waitForFunction(() => !document.querySelector('#screen').hidden, { timeout: 60000 });
		await new Promise((done) => setTimeout(done, 8000));
		await page.focus('#screen');
		await page.keyboard.type('ls');
		await page.keyboard.press('Enter');
		await new Promise((done) => setTimeout(done, 2000));
	});
	await page.screenshot({ path: `${out}/iso.png` });
}

/** A disk whose blocks stay in the browser: the guest shows and increments a counter on it. */
async function keptDisk() {
	const disk = process.env.DISK, shown = async () => (await text('#terminal .xterm-rows')).trim(), counts = [];
	const run = () => record('disk', 'a PC', disk, async () => {
		await page.waitForFunction(() => /[0-9]/.test(document.querySelector('#terminal .xterm-rows').textContent),
			{ timeout: 60000 });
		counts.push(await shown());
		await new Promise((done) => setTimeout(done, 500));
	}, true);

	await run();
	await run();
	tell('counted', counts.join(' '));
	tell('replayed', await shown());
	await page.click('#try summary');
	await page.click('#forget');
	await page.waitForFunction(() => document.querySelector('#status').textContent.includes('forgotten'));
	copyFileSync(`${out}/disk.vrr`, `${out}/second.vrr`);
	await run();
	tell('forgotten', counts.at(-1));
	renameSync(`${out}/second.vrr`, `${out}/disk.vrr`);
}

async function course() {
	await page.goto(`${home}course.html#results=course/results.xml`);
	await page.waitForFunction(() => document.querySelector('#status').textContent);
	tell('cases', await page.$$eval('#cases tbody tr', (all) => all.length));
	tell('verdicts', await status());
	await page.screenshot({ path: `${out}/course.png` });
	await page.click('#cases .failed a');
	await page.waitForFunction(() => document.body.dataset.place && document.body.dataset.mode === 'debug',
		{ timeout: 60000 });
	tell('failure', await hash());
}

async function fromFile() {
	await page.goto(pathToFileURL(resolve(site, 'vcpu.html')).href);
	await mode('empty'); // its scripts run
	await (await page.$('#file')).uploadFile(recording);
	await mode('debug');
	tell('from a file', await hash());
}

/** Lines of source: an ELF file that is dropped, then its source. */
async function lines() {
	const [vrr, elf, source] = process.env.LINES.split(' ');
	const drop = async (file, done) => {
		await (await page.$('#file')).uploadFile(file);
		await page.waitForFunction(done, { timeout: 60000 });
	};

	await page.goto('about:blank');
	await page.goto(home);
	await mode('empty');
	await (await page.$('#file')).uploadFile(vrr);
	await mode('debug');
	await drop(elf, () => /symbols/.test(document.querySelector('#answers').textContent) && document.body.dataset.mode === 'debug');
	await drop(source, () => document.body.dataset.mode === 'debug');
	await command('goto 113');
	tell('line', (await text('#where')).replace(/.*?µs, /, ''));
	tell('lines of code', await page.$$eval('#code .line', (all) => all.map((e) => e.textContent).filter(Boolean).length));
	await command('step');
	tell('a step', (await text('#where')).replace(/.*?µs, /, ''));
	tell('source', (await command('list work')).answer.split('\n').find((row) => row.includes('sum +=')));
	await page.screenshot({ path: `${out}/lines.png` });
}

/** Stop ends long commands, of which the Worker hears nothing until they end: ms until the page can be used again. */
async function stopped() {
	const ms = [];

	await command('rwatch *(char *)0');
	for (const line of ['reverse-continue', 'goto start', 'continue']) {
		await page.$eval('#line', (e, value) => {
			e.value = value;
			e.form.requestSubmit();
		}, line);
		if (line === 'goto start') { // to be somewhere else
			await mode('debug');
			continue;
		}
		await new Promise((done) => setTimeout(done, 300));
		const busy = await page.$eval('body', (e) => e.dataset.mode === 'busy'), begin = performance.now();

		await page.click('#stop');
		await page.waitForFunction(() => document.body.dataset.mode === 'debug', { timeout: 60000, polling: 5 });
		ms.push(busy ? Math.round(performance.now() - begin) : 'ended');
	}
	tell('Linux, stops', ms.join(' '));
	await command('delete');
}

async function bootOfLinux() {
	copyFileSync(linux, `${site}/linux.vrr`);
	await page.goto('about:blank');
	const begin = performance.now();

	await page.goto(`${home}#recording=linux.vrr`);
	await mode('debug');
	tell('Linux, first pass', Math.round(performance.now() - begin));
	tell('Linux at the end', await hash());
	const half = Math.floor(Number(await page.$eval('body', (e) => e.dataset.place)) / 2);

	tell('Linux, goto', Math.round((await command(`goto ${half}`)).ms));
	tell('Linux, step back', Math.round((await command('reverse-stepi')).ms));
	await stopped();
	await command(`goto ${half}`);
	await page.type('#text', 'proc/uptime');
	await page.click('[name="next"]');
	await page.waitForFunction((at) => Number(document.body.dataset.place) > at, { timeout: 100000 }, half);
	await mode('debug');
	for (const line of ['symbols kallsyms', 'break do_sys_openat2', 'continue', 'explain'])
		await command(line);
	await page.waitForFunction(() => document.querySelector('#code .here .symbol')?.textContent, { timeout: 20000 })
		.catch(() => {});
	tell('Linux stops at', await page.$eval('#code .here .symbol', (e) => e.textContent));
	tell('Linux there', await hash());
	tell('Linux, place', await page.$eval('body', (e) => e.dataset.place));
	await page.setViewport({ width: 1280, height: 700 });
	await page.screenshot({ path: `${out}/linux.png` });
	await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
	await page.screenshot({ path: `${out}/linux-dark.png` });
	await page.setViewport({ width: 390, height: 844 });
	await page.screenshot({ path: `${out}/linux-phone.png` });
	tell('wider than a phone', await page.evaluate(() => document.documentElement.scrollWidth > innerWidth));
}

try {
	await debugging();
	await tryGuests();
	if (process.env.DISK)
		await keptDisk();
	if (process.env.ISO)
		await screen('menu', [process.env.ISO, `${site}/guests/bios-256k.bin`, `${site}/guests/vgabios-stdvga.bin`]);
	await course();
	await fromFile();
	if (process.env.LINES)
		await lines();
	if (linux)
		await bootOfLinux();
} catch (error) {
	tell('error', `${error.message} (status: ${await status().catch(() => '')})`);
}
await browser.close();
server.close();
for (const name of ['test.vrr', 'linux.vrr', 'course'])
	rmSync(`${site}/${name}`, { force: true, recursive: true });
