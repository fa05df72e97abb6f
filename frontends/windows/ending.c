/* SPDX-License-Identifier: MIT */
/* common/ending.h for Windows, whose console has threads of its own for what are signals elsewhere. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <windows.h>
#include "ending.h"
#include "frontends/windows/ending_event.h"

enum { PATIENCE_MS = 500 };

static struct {
	void (*ask)(void), (*restore)(void);
	volatile LONG asked, patient;
	HANDLE event;
} ending;

/* As a program that has no handler. */
static void die(void)
{
	if (ending.restore)
		ending.restore();
	ExitProcess((UINT)STATUS_CONTROL_C_EXIT);
}

static DWORD WINAPI wait_and_die(void *unused)
{
	(void)unused;
	Sleep(PATIENCE_MS);
	die();
	return 0;
}

void ending_ask(int n)
{
	HANDLE thread;

	if (InterlockedExchange(&ending.asked, n) || !ending.patient)
		die();
	thread = CreateThread(NULL, 0, wait_and_die, NULL, 0, NULL);
	if (thread)
		CloseHandle(thread);
	if (ending.ask)
		ending.ask();
	if (ending.event)
		SetEvent(ending.event);
}

static BOOL WINAPI handle(DWORD what)
{
	ending_ask(what == CTRL_C_EVENT || what == CTRL_BREAK_EVENT ? SIGINT : SIGTERM);
	if (what != CTRL_C_EVENT && what != CTRL_BREAK_EVENT)
		Sleep(2 * PATIENCE_MS); /* the system ends the program when this returns */
	return TRUE;
}

void ending_open(void (*ask)(void), void (*restore)(void))
{
	ending.ask = ask;
	ending.restore = restore;
	if (!ending.event)
		ending.event = CreateEvent(NULL, TRUE, FALSE, NULL);
	SetConsoleCtrlHandler(handle, TRUE);
}

void ending_patience(bool patient) { ending.patient = patient; }
int ending_signal(void) { return (int)ending.asked; }
int ending_fd(void) { return -1; }
void *ending_event(void) { return ending.event; }

void ending_die(void)
{
	if (ending.asked)
		die();
}
