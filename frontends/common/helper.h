/* A process that stays outside of the sandbox for the little that must be done there later: it removes sockets when the program has ended, however it
 * ends, and makes files for pictures of the window. All that it may do it is told before helper_seal. */
#ifndef COMMON_HELPER_H
#define COMMON_HELPER_H

/* Remove the socket PATH at the end. Before there are threads. */
void helper_remove(const char *path);
/* Allow helper_picture. Before there are threads. */
void helper_pictures(void);
void helper_seal(void);
/* Make vcpu-NUMBER.png in the directory where the program was started; it must not exist. A descriptor, or -1 with errno. */
int helper_picture(unsigned number);
/* Remove the sockets now. */
void helper_end(void);

#endif
