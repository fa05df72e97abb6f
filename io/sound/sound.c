/* SPDX-License-Identifier: MIT */
/* The mix of the PC speaker and the sound card. sound.h describes it. */
#include <stdlib.h>
#include "io/sound/sound.h"

#define SPEAKER_LEVEL 6000

struct sound {
	u64 ticks;                    /* samples since power-on */
	u16 samples[2 * SOUND_PIECE]; /* two's complement: left, right */
	u32 count;                    /* of them */
	struct event sample;
	struct {
		struct clock *clock;
		struct pit *pit;
		struct sb16 *card;
		void (*out)(void *owner, const void *data, size_t len);
		void *owner;
	} wire;
};

static const struct field sound_fields[] = {
	FIELD(struct sound, ticks, U64),
	FIELDS(struct sound, samples, U16),
	FIELD_MAX(struct sound, count, U32, 2 * SOUND_PIECE - 2),
	FIELD(struct sound, sample, EVENT),
	FIELD_END
};

static u16 clamp(int v)
{
	return (u16)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

static void sound_arm(struct sound *sound)
{
	u64 when = clock_ns(sound->ticks + 1, SOUND_HZ);

	/* time has an end */
	clock_arm(sound->wire.clock, &sound->sample, when > sound->wire.clock->now ? when : CLOCK_NEVER);
}

static void sample(void *owner, u64 late)
{
	struct sound *sound = owner;
	int speaker = pit_speaker_out(sound->wire.pit) ? SPEAKER_LEVEL : 0, left = 0, right = 0;

	(void)late;
	if (sound->wire.card)
		sb16_samples(sound->wire.card, &left, &right);
	sound->count &= ~1u;
	sound->samples[sound->count++] = clamp(left + speaker);
	sound->samples[sound->count++] = clamp(right + speaker);
	if (sound->count == 2 * SOUND_PIECE) {
		sound->count = 0;
		if (sound->wire.out)
			sound->wire.out(sound->wire.owner, sound->samples, sizeof sound->samples);
	}
	/* A time that jumped leaves no samples behind. */
	sound->ticks = clock_ticks(sound->wire.clock->now, SOUND_HZ);
	sound_arm(sound);
}

struct sound *sound_new(struct clock *clock, struct pit *pit, struct sb16 *card,
	void (*out)(void *owner, const void *data, size_t len),
		void *owner)
{
	struct sound *sound = calloc(1, sizeof *sound);

	if (!sound)
		return NULL;
	sound->wire.clock = clock;
	sound->wire.pit = pit;
	sound->wire.card = card;
	sound->wire.out = out;
	sound->wire.owner = owner;
	clock_add(clock, &sound->sample, "sound", sample, sound);
	sound_arm(sound);
	return sound;
}

void sound_free(struct sound *sound)
{
	free(sound);
}

void sound_refresh(struct sound *sound)
{
	(void)sound; /* it drives no line */
}

struct part sound_part(struct sound *sound)
{
	return (struct part){ .name = "sound", .state = sound, .fields = sound_fields };
}
