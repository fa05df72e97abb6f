// SPDX-License-Identifier: MIT
// node access.mjs SITE PUPPETEER CHROMIUM RECORDING: what axe-core (https://github.com/dequelabs/axe-core) finds wrong
// with the page, light and dark, on a wide screen and on a phone, and what the Tab key does not reach: a line each.
// RECORDING is a file of SITE, which has a course's results, too.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , site, modules, chromium, recording] = process.argv;
const require = createRequire(`${modules}/`);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const { serve } = await import(pathToFileURL(`${process.env.srcdir}/frontends/web/serve.mjs`));
const server = await serve(site), home = `http://127.0.0.1:${server.address().port}/`;
const browser = await require('puppeteer-core').launch({ executablePath: chromium, headless: true,
	args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
const page = await browser.newPage();
const mode = (wanted) => page.waitForFunction((m) => document.body.dataset.mode === m, { timeout: 60000 }, wanted);

async function check(where) {
	await page.evaluate(axe);
	const { violations } = await page.evaluate(() => window.axe.run(document));

	for (const { id, nodes } of violations)
		console.log(`${where}: ${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

async function open(address) {
	await page.goto('about:blank');
	await page.goto(home + address);
}

for (const [width, height] of [[1280, 1000], [390, 844]])
	for (const scheme of ['light', 'dark']) {
		const where = `${scheme}, ${width} pixels`;

		await page.setViewport({ width, height });
		await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
		await open('');
		await mode('empty');
		await page.click('#try summary');
		await check(`${where}, empty`);
		await open(`#recording=${recording}&at=1000000`);
		await page.waitForFunction(() => document.body.dataset.place === '1000000', { timeout: 60000 });
		await mode('debug');
		await check(where);
		await open('course.html#results=course/results.xml');
		await page.waitForFunction(() => document.querySelector('#cases tbody tr'));
		await check(`${where}, course`);
	}

// Tab goes through the whole page and out of it.
await open(`#recording=${recording}`);
await mode('debug');
const all = await page.$$eval('button:not(:disabled), input, select, summary, a, [tabindex="0"]', (elements) =>
	elements.filter((e) => e.checkVisibility())
		.map((e, i) => e.dataset.reach = `${i} ${e.id || e.className || e.textContent}`));
const reached = new Set();

for (let i = 0; i < 2 * all.length; i++) {
	await page.keyboard.press('Tab');
	reached.add(await page.evaluate(() => document.activeElement.dataset.reach));
}
for (const name of all.filter((each) => !reached.has(each)))
	console.log(`not reached by Tab: ${name}`);

// By keys alone: the demo guest, its recording, two steps back.
const focused = () => page.evaluate(() => document.activeElement.dataset.line ?? document.activeElement.id);
async function reach(id, shift) {
	for (let i = 0; i < 60 && await focused() !== id; i++) {
		if (shift)
			await page.keyboard.down('Shift');
		await page.keyboard.press('Tab');
		await page.keyboard.up('Shift');
	}
	if (await focused() !== id)
		console.log(`keys do not lead to ${id}`);
}
await open('');
await page.waitForFunction(() => document.querySelector('#guest').options.length > 0);
await reach('demo');
await page.keyboard.press('Enter');
await mode('live');
await page.waitForFunction(() => /has stopped/.test(document.querySelector('#status').textContent), { timeout: 60000 });
await check('while a guest runs');
await reach('finish', true);
await page.keyboard.press('Enter');
await mode('debug');
await page.waitForFunction(() => document.activeElement.id === 'timeline', { timeout: 5000 }).catch(() => console.log('focus behind Stop and look'));
await reach('reverse-stepi');
for (let i = 0; i < 2; i++) {
	const before = Number(await page.$eval('body', (e) => e.dataset.place));

	await page.keyboard.press('Enter');
	await page.waitForFunction((at) => Number(document.body.dataset.place) < at && document.body.dataset.mode === 'debug', { timeout: 5000 }, before)
		.catch(() => console.log('a step back by keys'));
}
await browser.close();
server.close();
