/* SPDX-License-Identifier: MIT */
/* vcpu-sdl: declarations for its files. */
#ifndef SDL_FRONTEND_H
#define SDL_FRONTEND_H

#include <SDL.h>

#include "cli.h"

/* keys.c: the scan codes of a key that goes down or up. Returns how many. */
unsigned key_codes(SDL_Scancode key, bool down, unsigned char out[6]);

#endif
