/* SPDX-License-Identifier: MIT */
/* Standard input for the programs: cli.h describes it. A thread reads, since files, pipes and consoles have no common way
 * to be waited for; only one of the two has the buffer at a time. */
#include <io.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include "cli.h"
#include "ending.h"
#include "frontends/windows/ending_event.h"

#ifndef ENABLE_VIRTUAL_TERMINAL_INPUT
#define ENABLE_VIRTUAL_TERMINAL_INPUT 0x200
#endif
#ifndef ENABLE_VIRTUAL_TERMINAL_PROCESSING
#define ENABLE_VIRTUAL_TERMINAL_PROCESSING 4
#endif

static struct {
	DWORD in_mode, out_mode;      /* of the console: what to go back to */
	volatile LONG raw;
	HANDLE full, empty;           /* NULL: there is no thread */
	size_t at, len;               /* of the bytes that have come */
	bool eof;
	char buffer[1024];
} tty;

static DWORD WINAPI read_on(void *unused)
{
	(void)unused;
	while (WaitForSingleObject(tty.empty, INFINITE) == WAIT_OBJECT_0 && !tty.eof) {
		int n = read(0, tty.buffer, sizeof tty.buffer);

		tty.at = 0;
		tty.len = n > 0 ? (size_t)n : 0;
		tty.eof = n <= 0;
		SetEvent(tty.full);
	}
	return 0;
}

static void start(void)
{
	HANDLE thread;

	if (tty.full)
		return;
	tty.full = CreateEvent(NULL, TRUE, FALSE, NULL);
	tty.empty = CreateEvent(NULL, FALSE, TRUE, NULL);
	thread = CreateThread(NULL, 0, read_on, NULL, 0, NULL);
	if (thread) {
		CloseHandle(thread);
		return;
	}
	tty.eof = true;
	SetEvent(tty.full);
}

void tty_restore(void)
{
	if (!InterlockedExchange(&tty.raw, 0))
		return;
	SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), tty.in_mode);
	SetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), tty.out_mode);
}

bool tty_open(bool want_input)
{
	HANDLE in = GetStdHandle(STD_INPUT_HANDLE), out = GetStdHandle(STD_OUTPUT_HANDLE);

	if (!want_input || !GetConsoleMode(in, &tty.in_mode) || !GetConsoleMode(out, &tty.out_mode))
		return false;
	tty.raw = 1;
	SetConsoleMode(in, ENABLE_VIRTUAL_TERMINAL_INPUT);
	SetConsoleMode(out, tty.out_mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
	SetConsoleOutputCP(CP_UTF8);
	return true;
}

bool tty_wait(int64_t ns, bool wanted, struct pollfd *others, unsigned count)
{
	DWORD ms = ns < 0 ? INFINITE : ns > INT64_C(1000000000000) ? 1000000 : (DWORD)((ns + 999999) / 1000000);
	HANDLE events[2];
	DWORD n = 0, at;

	for (unsigned i = 0; i < count; i++)
		others[i].revents = others[i].events; /* a file that is written to takes it */
	if (ending_signal() || count)
		ms = 0;
	if (wanted) {
		start();
		events[n++] = tty.full;
	}
	if (!ending_signal() && ending_event())
		events[n++] = ending_event();
	if (!n) {
		Sleep(ms == INFINITE ? 0 : ms);
		return false;
	}
	at = WaitForMultipleObjects(n, events, FALSE, ms);
	return wanted && at == WAIT_OBJECT_0;
}

size_t tty_read(void *buffer, size_t size, bool *eof)
{
	size_t n;

	start();
	WaitForSingleObject(tty.full, INFINITE);
	n = tty.len - tty.at < size ? tty.len - tty.at : size;
	memcpy(buffer, tty.buffer + tty.at, n);
	tty.at += n;
	*eof = !n && tty.eof;
	if (tty.at == tty.len && !tty.eof) {
		ResetEvent(tty.full);
		SetEvent(tty.empty);
	}
	return n;
}
