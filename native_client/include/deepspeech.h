/* libdeepspeech: speech to text with a model exported by DeepSpeech.py.
 *
 * The names, structures, numbers and ownership are those of DeepSpeech 0.9.3, so that programs written for it compile
 * and run unchanged; what Coqui STT 1.4.0 added has its names with the prefix DS_; what is new here says so.
 *
 * Audio is mono, 16 bits signed, native byte order, at the model's sample rate; lengths count samples. Different
 * streams and models may be used from different threads at the same time, one stream by one thread at a time. Functions
 * that return `int` return 0 or one of the codes below; DS_LastErrorMessage says what happened in a sentence.
 */
#ifndef DEEPSPEECH_H
#define DEEPSPEECH_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DEEPSPEECH_EXPORT
#if defined _MSC_VER
#define DEEPSPEECH_EXPORT __declspec(dllexport)
#else
#define DEEPSPEECH_EXPORT __attribute__((visibility("default")))
#endif
#endif

/* A model with its settings: beam width, scorer, hot words. */
typedef struct ModelState ModelState;

/* One utterance that arrives bit by bit. It keeps what it needs of its model, which may be freed before it. */
typedef struct StreamingState StreamingState;

/* A label that was heard: a character, or in models of bytes a byte. */
typedef struct TokenMetadata {
  const char* const text;
  const unsigned int timestep; /* index of the frame of its onset */
  const float start_time;      /* the same in seconds */
} TokenMetadata;

typedef struct CandidateTranscript {
  const TokenMetadata* const tokens;
  const unsigned int num_tokens;
  const double confidence; /* natural logarithm of the score of the search, language model included */
} CandidateTranscript;

typedef struct Metadata {
  const CandidateTranscript* const transcripts; /* best first */
  const unsigned int num_transcripts;
} Metadata;

/* New here: a word with its place. */
typedef struct WordMetadata {
  const char* const text;
  const float start_time, end_time; /* seconds */
  const float confidence;           /* 0 to 1: how sure the network was of its letters, on (geometric) average */
} WordMetadata;

/* name, number, meaning */
#define DS_FOR_EACH_ERROR(APPLY)                                                        \
  APPLY(DS_ERR_OK, 0x0000, "There was no error.")                                       \
  APPLY(DS_ERR_NO_MODEL, 0x1000, "No model was given.")                                 \
  APPLY(DS_ERR_INVALID_ALPHABET, 0x2000, "The alphabet in the model is not valid.")     \
  APPLY(DS_ERR_INVALID_SHAPE, 0x2001, "A size is not valid.")                           \
  APPLY(DS_ERR_INVALID_SCORER, 0x2002, "The scorer cannot be used.")                    \
  APPLY(DS_ERR_MODEL_INCOMPATIBLE, 0x2003, "The file is no model that can be used.")    \
  APPLY(DS_ERR_SCORER_NOT_ENABLED, 0x2004, "No scorer is enabled.")                     \
  APPLY(DS_ERR_SCORER_UNREADABLE, 0x2005, "The scorer cannot be read.")                 \
  APPLY(DS_ERR_SCORER_INVALID_LM, 0x2006, "The scorer has no valid language model.")    \
  APPLY(DS_ERR_SCORER_NO_TRIE, 0x2007, "The scorer has no dictionary.")                 \
  APPLY(DS_ERR_SCORER_INVALID_TRIE, 0x2008, "The scorer's dictionary is not valid.")    \
  APPLY(DS_ERR_SCORER_VERSION_MISMATCH, 0x2009, "The scorer is of another version.")    \
  APPLY(DS_ERR_FAIL_INIT_MMAP, 0x3000, "The model file cannot be opened.")              \
  APPLY(DS_ERR_FAIL_INIT_SESS, 0x3001, "The model cannot be started.")                  \
  APPLY(DS_ERR_FAIL_INTERPRETER, 0x3002, "The model cannot be interpreted.")            \
  APPLY(DS_ERR_FAIL_RUN_SESS, 0x3003, "The audio could not be transcribed.")            \
  APPLY(DS_ERR_FAIL_CREATE_STREAM, 0x3004, "The stream could not be made.")             \
  APPLY(DS_ERR_FAIL_READ_PROTOBUF, 0x3005, "The graph in the model file is not valid.") \
  APPLY(DS_ERR_FAIL_CREATE_SESS, 0x3006, "The model cannot be set up.")                 \
  APPLY(DS_ERR_FAIL_CREATE_MODEL, 0x3007, "There is not enough memory for the model.")  \
  APPLY(DS_ERR_FAIL_INSERT_HOTWORD, 0x3008, "The hot word cannot be added.")            \
  APPLY(DS_ERR_FAIL_CLEAR_HOTWORD, 0x3009, "The hot words cannot be cleared.")          \
  APPLY(DS_ERR_FAIL_ERASE_HOTWORD, 0x3010, "The hot word cannot be erased.")

enum DeepSpeech_Error_Codes {
#define DEEPSPEECH_CODE(name, number, meaning) name = number,
  DS_FOR_EACH_ERROR(DEEPSPEECH_CODE)
#undef DEEPSPEECH_CODE
};

/* Loads a model: .tflite, .pb or .pbmm, told apart by content. `*retval` is null where that fails. */
DEEPSPEECH_EXPORT int DS_CreateModel(const char* aModelPath, ModelState** retval);

/* Loads a model from memory; the buffer is copied. */
DEEPSPEECH_EXPORT int DS_CreateModelFromBuffer(const char* aModelBuffer, unsigned int aBufferSize, ModelState** retval);

DEEPSPEECH_EXPORT void DS_FreeModel(ModelState* ctx);

/* The beam width: at first the one in the model file; 0 is an error. */
DEEPSPEECH_EXPORT unsigned int DS_GetModelBeamWidth(const ModelState* aCtx);
DEEPSPEECH_EXPORT int DS_SetModelBeamWidth(ModelState* aCtx, unsigned int aBeamWidth);

/* In Hz. */
DEEPSPEECH_EXPORT int DS_GetModelSampleRate(const ModelState* aCtx);

/* New here: threads of each stream and each transcription that begins afterwards; 1 unless told. */
DEEPSPEECH_EXPORT int DS_SetModelThreads(ModelState* aCtx, unsigned int aNumThreads);

/* The scorer of streams and transcriptions that begin afterwards. Where a new one cannot be loaded the former stays. */
DEEPSPEECH_EXPORT int DS_EnableExternalScorer(ModelState* aCtx, const char* aScorerPath);
DEEPSPEECH_EXPORT int DS_EnableExternalScorerFromBuffer(ModelState* aCtx, const char* aScorerBuffer,
                                                        unsigned int aBufferSize);
DEEPSPEECH_EXPORT int DS_DisableExternalScorer(ModelState* aCtx);
DEEPSPEECH_EXPORT int DS_SetScorerAlphaBeta(ModelState* aCtx, float aAlpha, float aBeta);

/* Words or phrases whose probability is raised (or lowered), with a scorer or without. */
DEEPSPEECH_EXPORT int DS_AddHotWord(ModelState* aCtx, const char* word, float boost);
DEEPSPEECH_EXPORT int DS_EraseHotWord(ModelState* aCtx, const char* word);
DEEPSPEECH_EXPORT int DS_ClearHotWords(ModelState* aCtx);

/* Transcribe a whole recording. The results are freed with DS_FreeString and DS_FreeMetadata; null where it fails. */
DEEPSPEECH_EXPORT char* DS_SpeechToText(ModelState* aCtx, const short* aBuffer, unsigned int aBufferSize);
DEEPSPEECH_EXPORT Metadata* DS_SpeechToTextWithMetadata(ModelState* aCtx, const short* aBuffer,
                                                        unsigned int aBufferSize, unsigned int aNumResults);

DEEPSPEECH_EXPORT int DS_CreateStream(ModelState* aCtx, StreamingState** retval);

/* Recognises as much as the audio allows. What goes wrong is told by the function that ends the stream. */
DEEPSPEECH_EXPORT void DS_FeedAudioContent(StreamingState* aSctx, const short* aBuffer, unsigned int aBufferSize);

/* What has been recognised so far; the stream goes on. Those that flush count the audio that still waits for more too,
 * as if the utterance ended here. */
DEEPSPEECH_EXPORT char* DS_IntermediateDecode(const StreamingState* aSctx);
DEEPSPEECH_EXPORT Metadata* DS_IntermediateDecodeWithMetadata(const StreamingState* aSctx, unsigned int aNumResults);
DEEPSPEECH_EXPORT char* DS_IntermediateDecodeFlushBuffers(StreamingState* aSctx);
DEEPSPEECH_EXPORT Metadata* DS_IntermediateDecodeWithMetadataFlushBuffers(StreamingState* aSctx,
                                                                          unsigned int aNumResults);

/* Recognise the rest and free the stream. */
DEEPSPEECH_EXPORT char* DS_FinishStream(StreamingState* aSctx);
DEEPSPEECH_EXPORT Metadata* DS_FinishStreamWithMetadata(StreamingState* aSctx, unsigned int aNumResults);

/* Frees a stream without recognising the rest. */
DEEPSPEECH_EXPORT void DS_FreeStream(StreamingState* aSctx);

/* New here: the words of one of the transcripts. They are freed with `metadata`. */
DEEPSPEECH_EXPORT const WordMetadata* DS_GetWords(const Metadata* metadata, unsigned int aTranscript,
                                                  unsigned int* aNumWords);

DEEPSPEECH_EXPORT void DS_FreeMetadata(Metadata* m);
DEEPSPEECH_EXPORT void DS_FreeString(char* str);

/* To be freed with DS_FreeString. */
DEEPSPEECH_EXPORT char* DS_Version(void);
DEEPSPEECH_EXPORT char* DS_ErrorCodeToErrorMessage(int aErrorCode);

/* New here: what the last function of this thread that failed has to say: what was found, what was expected, what to
 * do. Valid until the thread's next failure. */
DEEPSPEECH_EXPORT const char* DS_LastErrorMessage(void);

#undef DEEPSPEECH_EXPORT

#ifdef __cplusplus
}
#endif

#endif
