/* SPDX-License-Identifier: MIT */
#ifndef WINDOWS_ENDING_EVENT_H
#define WINDOWS_ENDING_EVENT_H

/* The handle of an event that is set once a signal has asked for the end: ending_fd of this host. */
void *ending_event(void);

#endif
