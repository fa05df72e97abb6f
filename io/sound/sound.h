/* SPDX-License-Identifier: MIT */
/* The mixer of the machine, which is no chip and has no data sheet: the PC speaker's level (8254 counter 2 and port
 * 61h) and the sound card's samples, 44100 times a second of virtual time, as 16-bit signed stereo, in pieces of ten
 * milliseconds. */
#ifndef IO_SOUND_H
#define IO_SOUND_H

#include "io/timer/pit.h"
#include "io/sound/sb16.h"

#define SOUND_HZ 44100u
#define SOUND_PIECE 441u /* samples */

struct sound;

/* CARD may be NULL. OUT gets SOUND_PIECE times left and right. NULL: no memory. */
struct sound *sound_new(struct clock *clock, struct pit *pit, struct sb16 *card,
	void (*out)(void *owner, const void *data, size_t len),
		void *owner);
void sound_free(struct sound *sound);
void sound_refresh(struct sound *sound);
struct part sound_part(struct sound *sound);

#endif
