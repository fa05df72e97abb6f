/* SPDX-License-Identifier: MIT */
/* vcpu-sdl: the machine of `vcpu run' in a window. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "sdl.h"
#include "standard.h"

#define FRAME_NS 16666667u /* of the host's time, between two pictures */

static struct {
	SDL_Window *window;
	SDL_Renderer *renderer;
	SDL_Texture *texture;
	SDL_AudioDeviceID audio;
	uint32_t *pixels;
	unsigned width, height;      /* of the texture */
	uint64_t next_picture, next_title;
	uint64_t title_instructions, title_virtual, title_ns;
	bool grabbed, full, paused, quit;
	unsigned scale, pictures;
	struct vcpu_mouse mouse;
	char *paste;                 /* what is left to type; from SDL */
	size_t pasted;
} window;

static uint64_t now_ns(void)
{
	return (uint64_t)((double)SDL_GetPerformanceCounter() * 1e9 / (double)SDL_GetPerformanceFrequency());
}

/* ---- picture ---- */

static bool fit(const struct vcpu_screen *s)
{
	if (s->width == window.width && s->height == window.height)
		return true;
	if (window.texture)
		SDL_DestroyTexture(window.texture);
	free(window.pixels);
	window.width = s->width;
	window.height = s->height;
	window.pixels = malloc((size_t)s->width * s->height * sizeof *window.pixels);
	window.texture = SDL_CreateTexture(window.renderer, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING,
					   (int)s->width, (int)s->height);
	if (!window.full)
		SDL_SetWindowSize(window.window, (int)(s->width * window.scale), (int)(s->height * window.scale));
	SDL_RenderSetLogicalSize(window.renderer, (int)s->width, (int)s->height);
	return window.pixels && window.texture;
}

static void draw(const vcpu *machine)
{
	struct vcpu_screen s;

	if (vcpu_screen(machine, &s, NULL, 0) && fit(&s)) {
		vcpu_screen(machine, &s, window.pixels, (size_t)s.width * s.height);
		SDL_UpdateTexture(window.texture, NULL, window.pixels, (int)(4 * s.width));
	}
	SDL_RenderClear(window.renderer);
	if (window.texture)
		SDL_RenderCopy(window.renderer, window.texture, NULL, NULL);
	SDL_RenderPresent(window.renderer);
}

/* What there is to know, twice a second. */
static void title(const vcpu *machine, uint64_t now)
{
	uint64_t instructions = vcpu_instructions(machine), virtual = vcpu_virtual_ns(machine);
	double seconds = (double)(now - window.title_ns) / 1e9;
	char text[128];

	snprintf(text, sizeof text, "vcpu%s: %.0f MIPS, %.0f %% of real time%s", window.paused ? " (paused)" : "",
		 (double)(instructions - window.title_instructions) / seconds / 1e6,
		 (double)(virtual - window.title_virtual) / seconds / 1e7,
		 window.grabbed ? " - Ctrl+Alt+G frees the mouse" : "");
	SDL_SetWindowTitle(window.window, text);
	window.title_instructions = instructions;
	window.title_virtual = virtual;
	window.title_ns = now;
}

/* ---- what the person does ---- */

static void grab(bool on)
{
	window.grabbed = on;
	SDL_SetRelativeMouseMode(on);
	SDL_SetWindowGrab(window.window, on);
	window.next_title = 0;
}

/* vcpu-N.png, N the first that there is not. */
static void take_picture(vcpu *machine)
{
	char name[32];
	int fd;

	do
		fd = helper_create(++window.pictures);
	while (fd < 0 && errno == EEXIST);
	snprintf(name, sizeof name, "vcpu-%u.png", window.pictures);
	if (fd < 0)
		complain("cannot write %s: %s", name, strerror(errno));
	else
		screenshot(machine, fd, name);
}

/* Ctrl+Alt and a letter are ours. */
static bool hot_key(vcpu *machine, SDL_Keycode key)
{
	switch (key) {
	case SDLK_g: grab(!window.grabbed); return true;
	case SDLK_f:
		window.full = !window.full;
		SDL_SetWindowFullscreen(window.window, window.full ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
		return true;
	case SDLK_p:
		window.paused = !window.paused;
		window.next_title = 0;
		return true;
	case SDLK_v:
		SDL_free(window.paste);
		window.paste = SDL_GetClipboardText();
		window.pasted = 0;
		return true;
	case SDLK_s:
		take_picture(machine);
		return true;
	case SDLK_r: vcpu_input(machine, VCPU_RESET, NULL, 0); return true;
	case SDLK_n: vcpu_next_medium(machine); return true;
	case SDLK_q: window.quit = true; return true;
	default: return false;
	}
}

static void key(vcpu *machine, const SDL_KeyboardEvent *event)
{
	unsigned char codes[6];
	unsigned n;

	if (event->repeat) /* the machine's keyboard repeats by itself */
		return;
	if (event->type == SDL_KEYDOWN && (event->keysym.mod & KMOD_CTRL) && (event->keysym.mod & KMOD_ALT) &&
	    hot_key(machine, event->keysym.sym))
		return;
	n = key_codes(event->keysym.scancode, event->type == SDL_KEYDOWN, codes);
	if (n)
		vcpu_input(machine, VCPU_KEYBOARD, codes, n);
}

static void button(const SDL_MouseButtonEvent *event)
{
	static const uint16_t bits[] = { [SDL_BUTTON_LEFT] = 1, [SDL_BUTTON_MIDDLE] = 4, [SDL_BUTTON_RIGHT] = 2,
		[SDL_BUTTON_X1] = 8, [SDL_BUTTON_X2] = 16 };
	uint16_t bit = event->button < sizeof bits / sizeof *bits ? bits[event->button] : 0;

	if (event->type == SDL_MOUSEBUTTONDOWN)
		window.mouse.buttons |= bit;
	else
		window.mouse.buttons &= (uint16_t)~bit;
}

static void mouse(vcpu *machine, const SDL_Event *event)
{
	if (!window.grabbed) {
		if (event->type == SDL_MOUSEBUTTONDOWN)
			grab(true);
		return;
	}
	window.mouse.dx = window.mouse.dy = window.mouse.wheel = 0;
	if (event->type == SDL_MOUSEMOTION) {
		window.mouse.dx = (int16_t)event->motion.xrel;
		window.mouse.dy = (int16_t)-event->motion.yrel;
	} else if (event->type == SDL_MOUSEWHEEL) {
		window.mouse.wheel = (int16_t)-event->wheel.y;
	} else {
		button(&event->button);
	}
	vcpu_input(machine, VCPU_MOUSE, &window.mouse, sizeof window.mouse);
}

static void events(vcpu *machine, int timeout_ms)
{
	SDL_Event event;
	int got = timeout_ms ? SDL_WaitEventTimeout(&event, timeout_ms) : SDL_PollEvent(&event);

	for (; got; got = SDL_PollEvent(&event))
		switch (event.type) {
		case SDL_QUIT: window.quit = true; break;
		case SDL_KEYDOWN:
		case SDL_KEYUP: key(machine, &event.key); break;
		case SDL_MOUSEMOTION:
		case SDL_MOUSEWHEEL:
		case SDL_MOUSEBUTTONDOWN:
		case SDL_MOUSEBUTTONUP: mouse(machine, &event); break;
		}
}

/* The clipboard's text, a key a slice. */
static void paste(vcpu *machine)
{
	char one[2] = { window.paste ? window.paste[window.pasted] : 0 };

	if (*one && vcpu_type_text(machine, one))
		window.pasted++;
}

/* ---- the face ---- */

static bool face_open(vcpu *machine, const struct run_options *o)
{
	uint32_t flags = SDL_WINDOW_RESIZABLE | (o->full_screen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
	SDL_AudioSpec spec = { .freq = 44100, .format = AUDIO_S16LSB, .channels = 2, .samples = 1024 };

	(void)machine;
	SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1"); /* terminal.c has them */
	if (SDL_Init(SDL_INIT_VIDEO)) {
		complain("no window: %s", SDL_GetError());
		return false;
	}
	window.scale = o->scale ? o->scale : 1;
	window.full = o->full_screen;
	window.window = SDL_CreateWindow("vcpu", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
					 (int)(640 * window.scale), (int)(400 * window.scale), flags);
	window.renderer = window.window ? SDL_CreateRenderer(window.window, -1, 0) : NULL;
	if (!window.renderer) {
		complain("no window: %s", SDL_GetError());
		return false;
	}
	if (o->config.sound && !SDL_InitSubSystem(SDL_INIT_AUDIO) &&
	    (window.audio = SDL_OpenAudioDevice(NULL, 0, &spec, NULL, 0)))
		SDL_PauseAudioDevice(window.audio, 0);
	return true;
}

static bool face_step(vcpu *machine, int64_t wait)
{
	int ms = wait < 0 || wait > 100000000 ? 100 : (int)(wait / 1000000);

	do {
		uint64_t now = now_ns();

		if (now >= window.next_picture) {
			draw(machine);
			window.next_picture = now + FRAME_NS;
		}
		if (now >= window.next_title) {
			title(machine, now);
			window.next_title = now + 500000000;
		}
		events(machine, window.paused ? 50 : ms);
	} while (window.paused && !window.quit && !terminal_signal());
	paste(machine);
	return !window.quit;
}

/* A third of a second at most waits to be heard: a machine that is too fast is not to be heard later and later. */
static void face_sound(const void *data, size_t len)
{
	if (window.audio && SDL_GetQueuedAudioSize(window.audio) < 44100 * 4 / 3)
		SDL_QueueAudio(window.audio, data, (uint32_t)len);
}

static void face_close(void)
{
	SDL_free(window.paste);
	free(window.pixels);
	SDL_Quit();
}

static const struct face face = { face_open, face_step, face_sound, face_close };

int main(int argc, char **argv)
{
	static char name[] = "vcpu-sdl";
	struct run_options o;
	int status;

	standard_open();
	program = argv[0] = name;
	if (!options_parse(&o, argc, argv, false, &status))
		return complain_lost(status);
	o.face = &face;
	helper_names("vcpu-", ".png", true);
	if (!o.config.display)
		o.config.display = "vga";
	return run_machine(&o);
}
