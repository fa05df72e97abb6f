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
await browser.close();
server.close();
