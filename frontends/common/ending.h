/* SPDX-License-Identifier: MIT */
/* The end by a signal. SIGINT, SIGTERM, SIGHUP and SIGQUIT end a program within a second, and its parent sees the
 * signal.
 *
 *     signal --> handler --> ASK, ending_fd becomes readable --> the program ends in order, and calls ending_die
 *                   `------> half a second later, or at the second signal: RESTORE, and dead
 * */
#ifndef COMMON_ENDING_H
#define COMMON_ENDING_H

#include <stdbool.h>

/* Handle the signals from now on: the program dies of them at once, after RESTORE. Both are called in signal
 * handlers; either may be NULL. */
void ending_open(void (*ask)(void), void (*restore)(void));
/* True: from now on the program polls ending_signal, and has half a second to end. */
void ending_patience(bool patient);
/* As if signal N had come. */
void ending_ask(int n);
int ending_signal(void); /* the signal that has asked us to end, or 0 */
int ending_fd(void);     /* readable when one has; -1: there is none */
/* Die of the signal that asked; return if none did. */
void ending_die(void);

#endif
