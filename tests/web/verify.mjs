// SPDX-License-Identifier: MIT
// node verify.mjs SITE PUPPETEER CHROMIUM RECORDING FILE...: opens RECORDING in the page, with the files that it names,
// and verifies it there. Prints how many checkpoints are equal, or the page's message and ends with status 1.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [, , site, modules, chromium, recording, ...files] = process.argv;
const puppeteer = createRequire(`${modules}/`)('puppeteer-core');
const { serve } = await import(pathToFileURL(`${process.env.srcdir}/frontends/web/serve.mjs`));
const server = await serve(site);
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, protocolTimeout: 900000,
	args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
let told;

try {
	const page = await browser.newPage();
	const wait = (what) => page.waitForFunction(what, { timeout: 600000, polling: 200 });
	const refused = () => page.$('#status.error');

	await page.goto(`http://127.0.0.1:${server.address().port}/`);
	await wait(() => document.body.dataset.mode === 'empty');
	await (await page.$('#file')).uploadFile(...files, recording);
	await wait(() => document.body.dataset.mode === 'debug' || document.querySelector('#status.error'));
	if (!await refused()) {
		await page.click('#verify');
		await wait(() => document.querySelector('#status.error') ||
			/^(Verified: |Stopped)/.test(document.querySelector('#status').textContent));
	}
	told = await page.$eval('#status', (e) => e.textContent);
} catch (error) {
	told = error.message;
}
await browser.close();
server.close();
const equal = /^Verified: (\d+) checkpoints/.exec(told)?.[1];

console.log(equal ?? told);
process.exitCode = equal ? 0 : 1;
