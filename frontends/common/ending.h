/* The end that a signal asks for. SIGINT, SIGTERM, SIGHUP and SIGQUIT end a program within a second, whatever it is doing, and the signal that ended it
 * is the one that its parent sees.
 *
 *     signal --> handler --> ASK, ending_fd becomes readable --> the program ends in order, and calls ending_die
 *                   `------> half a second later, or at the second signal: RESTORE, and dead
 */
#ifndef COMMON_ENDING_H
#define COMMON_ENDING_H

#include <stdbool.h>

/* Handle the signals from now on: the program dies of them at once, after RESTORE. Both are called in signal handlers; NULL: nothing is to be done. */
void ending_open(void (*ask)(void), void (*restore)(void));
/* True: from now on there is somebody who looks at ending_signal, and is given half a second. */
void ending_patience(bool patient);
/* As if signal N had come. */
void ending_ask(int n);
int ending_signal(void); /* the signal that has asked us to end, or 0 */
int ending_fd(void);     /* readable when one has; -1: there is none */
/* Die of the signal that asked; return if none did. */
void ending_die(void);

#endif
