/**
 * The entries of the catalogue, in the order of its areas. A table of data: each new system adds its
 * entry here, and its `reproduction` marks it as built. Longer than other files for that reason.
 */
import type { SystemEntry } from "./systems.ts";

export const systemEntries: readonly SystemEntry[] = [
  {
    slug: "lib-tokenizer",
    name: "LiB",
    paper: "Rethinking Tokenization: Crafting Better Tokenizers for Large Language Models",
    arxiv: "2403.00417",
    area: "tokenizer",
    sentence:
      "Learns one vocabulary of subwords, words and multi-word expressions from raw text, without a word splitter.",
    reproduction: () => import("./tokenizer/lib-tokenizer/reproduction.ts"),
  },
  {
    slug: "data-mixture-inference",
    name: "Data mixture inference",
    paper: "Data Mixture Inference: What do BPE Tokenizers Reveal about their Training Data?",
    arxiv: "2407.16607",
    area: "tokenizer",
    sentence:
      "Reads from a tokenizer's list of merges in what proportions languages or domains were mixed in its training data.",
    reproduction: () => import("./tokenizer/data-mixture-inference/reproduction.ts"),
  },
  {
    slug: "dynamic-tokenization",
    name: "Dynamic tokenization",
    paper: "Retrofitting (Large) Language Models with Dynamic Tokenization",
    arxiv: "2411.18553",
    area: "vocabulary",
    sentence:
      "Lets token boundaries of a frozen model follow the text at hand, with embeddings of new tokens computed on the fly.",
    reproduction: () => import("./vocabulary/dynamic-tokenization/reproduction.ts"),
  },
  {
    slug: "zett",
    name: "ZeTT",
    paper: "Zero-Shot Tokenizer Transfer",
    arxiv: "2405.07883",
    area: "vocabulary",
    sentence:
      "Runs a model with another tokenizer without retraining: a hypernetwork predicts the embeddings of the new vocabulary.",
    reproduction: () => import("./vocabulary/zett/reproduction.ts"),
  },
  {
    slug: "trans-tokenization",
    name: "Trans-tokenization",
    paper:
      "Trans-Tokenization and Cross-lingual Vocabulary Transfers: Language Adaptation of LLMs for Low-Resource NLP",
    arxiv: "2408.04303",
    area: "vocabulary",
    sentence:
      "Gives a language its own tokenizer and a working model: new embeddings are averages over the tokens that translate to them.",
    reproduction: () => import("./vocabulary/trans-tokenization/reproduction.ts"),
  },
  {
    slug: "word-pooled",
    name: "Word-pooled tokenization",
    paper: "Learn Your Tokens: Word-Pooled Tokenization for Language Modeling",
    arxiv: "2310.11628",
    area: "model",
    sentence:
      "A language model that reads and writes characters, with a transformer over one vector per word.",
    reproduction: () => import("./model/word-pooled/reproduction.ts"),
  },
  {
    slug: "hierarchical-transformer",
    name: "Hierarchical transformer",
    paper:
      "Hierarchical Autoregressive Transformers: Combining Byte- and Word-Level Processing for Robust, Adaptable Language Models",
    arxiv: "2501.10322",
    area: "model",
    sentence:
      "A generative model without a vocabulary: bytes inside words, a large model over words, robust against typos.",
    reproduction: () => import("./model/hierarchical-transformer/reproduction.ts"),
  },
  {
    slug: "byte2word",
    name: "byte2word",
    paper: "Word-Level Representation From Bytes For Language Modeling",
    arxiv: "2211.12677",
    area: "model",
    sentence:
      "An encoder that builds one vector for each word from its bytes, with a tenth of the usual embedding table.",
    reproduction: () => import("./model/byte2word/reproduction.ts"),
  },
  {
    slug: "mrt5",
    name: "MrT5",
    paper: "MrT5: Dynamic Token Merging for Efficient Byte-level Language Models",
    arxiv: "2410.20771",
    area: "model",
    sentence:
      "A byte-level encoder that deletes, after a few layers, the bytes it no longer needs.",
    reproduction: () => import("./model/mrt5/reproduction.ts"),
  },
  {
    slug: "lexinvariant",
    name: "Lexinvariant language models",
    paper: "Lexinvariant Language Models",
    arxiv: "2305.16349",
    area: "model",
    sentence:
      "A model that treats symbols as placeholders: its predictions do not depend on which symbols were used.",
    reproduction: () => import("./model/lexinvariant/reproduction.ts"),
  },
  {
    slug: "openmoe",
    name: "OpenMoE",
    paper: "OpenMoE: An Early Effort on Open Mixture-of-Experts Language Models",
    arxiv: "2402.01739",
    area: "model",
    sentence:
      "A decoder with routed experts, and instruments that show what the router does with every token.",
    reproduction: () => import("./model/openmoe/reproduction.ts"),
  },
  {
    slug: "token-recycling",
    name: "Token Recycling",
    paper:
      "Turning Trash into Treasure: Accelerating Inference of Large Language Models with Token Recycling",
    arxiv: "2408.08696",
    area: "generate",
    sentence:
      "Drafts tokens from candidates of earlier steps: the same text in fewer forward passes, with a small table.",
    reproduction: () => import("./generate/token-recycling/reproduction.ts"),
  },
  {
    slug: "lookahead",
    name: "Lookahead",
    paper:
      "Lookahead: An Inference Acceleration Framework for Large Language Model with Lossless Generation Accuracy",
    arxiv: "2312.12728",
    area: "generate",
    sentence:
      "Drafts tokens from a trie of prompts and earlier outputs: the same text in fewer forward passes where text repeats.",
    reproduction: () => import("./generate/lookahead/reproduction.ts"),
  },
  {
    slug: "dyspec",
    name: "DySpec",
    paper: "DySpec: Faster Speculative Decoding with Dynamic Token Tree Structure",
    arxiv: "2410.11744",
    area: "generate",
    sentence: "Spends the budget of a draft model's token tree where the draft model is confident.",
    reproduction: () => import("./generate/dyspec/reproduction.ts"),
  },
  {
    slug: "aded",
    name: "ADED",
    paper: "Adaptive Draft-Verification for Efficient Large Language Model Decoding",
    arxiv: "2407.12021",
    area: "generate",
    sentence: "Drafts tokens from a table of three-token statistics that learns from every answer.",
    reproduction: () => import("./generate/aded/reproduction.ts"),
  },
  {
    slug: "exact-byte-probabilities",
    name: "Exact byte probabilities",
    paper:
      "Exact Byte-Level Probabilities from Tokenized Language Models for FIM-Tasks and Model Ensembles",
    arxiv: "2410.09303",
    area: "generate",
    sentence:
      "Turns any token-level model into an exact next-byte predictor: prompts may stop inside a token, models with different vocabularies combine.",
    reproduction: () => import("./generate/exact-byte-probabilities/reproduction.ts"),
  },
  {
    slug: "token-select",
    name: "TokenSelect",
    paper:
      "TokenSelect: Efficient Long-Context Inference and Length Extrapolation for LLMs via Dynamic Token-Level KV Cache Selection",
    arxiv: "2411.02886",
    area: "context",
    sentence:
      "Attends at every layer to a few thousand selected tokens of a long cache, without training.",
    reproduction: () => import("./context/token-select/reproduction.ts"),
  },
  {
    slug: "longheads",
    name: "LongHeads",
    paper: "LongHeads: Multi-Head Attention is Secretly a Long Context Processor",
    arxiv: "2402.10685",
    area: "context",
    sentence:
      "Lets every attention head read other chunks of a long text, each no longer than the model was trained for.",
    reproduction: () => import("./context/longheads/reproduction.ts"),
  },
  {
    slug: "landmark-attention",
    name: "Landmark Attention",
    paper: "Landmark Attention: Random-Access Infinite Context Length for Transformers",
    arxiv: "2305.16300",
    area: "context",
    sentence:
      "Trains a model to look up past blocks through a landmark token, then runs it at any length.",
    reproduction: () => import("./context/landmark-attention/reproduction.ts"),
  },
  {
    slug: "gemfilter",
    name: "GemFilter",
    paper:
      "Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input Token Reduction",
    arxiv: "2409.17422",
    area: "context",
    sentence:
      "Shortens prompts: early layers choose the tokens that matter, and the model answers from these alone.",
    reproduction: () => import("./context/gemfilter/reproduction.ts"),
  },
  {
    slug: "extensible-tokenization",
    name: "Extensible Tokenization",
    paper: "Flexibly Scaling Large Language Models Contexts Through Extensible Tokenization",
    arxiv: "2401.07793",
    area: "context",
    sentence:
      "Replaces most token embeddings of a long context by few learned ones, with a factor chosen at run time.",
    reproduction: () => import("./context/extensible-tokenization/reproduction.ts"),
  },
  {
    slug: "token-ring",
    name: "TokenRing",
    paper:
      "TokenRing: An Efficient Parallelism Framework for Infinite-Context LLMs via Bidirectional Communication",
    arxiv: "2412.20501",
    area: "context",
    sentence:
      "Computes exact attention over a sequence split among workers, with queries and results travelling in opposite directions.",
    reproduction: () => import("./context/token-ring/reproduction.ts"),
  },
  {
    slug: "xtr",
    name: "XTR",
    paper: "Rethinking the Role of Token Retrieval in Multi-Vector Retrieval",
    arxiv: "2304.01982",
    area: "retrieve",
    sentence:
      "Searches with one vector for each token and scores documents from the retrieved tokens alone.",
    reproduction: () => import("./retrieve/xtr/reproduction.ts"),
  },
  {
    slug: "m2-bert-loco",
    name: "M2-BERT retrieval and LoCoV1",
    paper: "Benchmarking and Building Long-Context Retrieval Models with LoCo and M2-BERT",
    arxiv: "2402.07440",
    area: "retrieve",
    sentence:
      "Embeds a whole long document as one vector, and a benchmark of retrieval among long documents.",
    reproduction: () => import("./retrieve/m2-bert-loco/reproduction.ts"),
  },
  {
    slug: "dupmae",
    name: "DupMAE",
    paper:
      "RetroMAE v2: Duplex Masked Auto-Encoder For Pre-Training Retrieval-Oriented Language Models",
    arxiv: "2211.08769",
    area: "retrieve",
    sentence:
      "Trains an encoder so that its summary vector and its ordinary tokens both carry the whole text, for retrieval.",
    reproduction: () => import("./retrieve/dupmae/reproduction.ts"),
  },
  {
    slug: "tdmatch",
    name: "TDmatch",
    paper: "Unsupervised Matching of Data and Text",
    arxiv: "2112.08776",
    area: "match",
    sentence:
      "Finds without labels which rows of a table, or nodes of a taxonomy, a sentence is about.",
  },
  {
    slug: "glossary-matching",
    name: "Glossary matching",
    paper: "Matching Table Metadata with Business Glossaries Using Large Language Models",
    arxiv: "2309.11506",
    area: "match",
    sentence: "Maps the columns of a database, by their names alone, to the entries of a glossary.",
  },
  {
    slug: "linkorgs",
    name: "LinkOrgs",
    paper: "Linking Datasets on Organizations Using Half a Billion Open-Collaborated Records",
    arxiv: "2302.02533",
    area: "match",
    sentence: "Joins tables whose only shared key is an organisation's name, written differently.",
  },
  {
    slug: "sener",
    name: "SeNER",
    paper: "Small Language Model Makes an Effective Long Text Extractor",
    arxiv: "2502.07286",
    area: "extract",
    sentence:
      "Pulls typed, nested and very long spans out of long documents, with a small encoder and exact offsets.",
  },
  {
    slug: "design-knowledge-graph",
    name: "Design knowledge graph",
    paper:
      "Engineering Design Knowledge Graphs from Patented Artefact Descriptions for Retrieval-Augmented Generation in the Design Process",
    arxiv: "2307.06985",
    area: "extract",
    sentence:
      "Reads every explicit fact of technical text as head, relationship and tail, in the words of the sentence.",
  },
  {
    slug: "claps",
    name: "ClaPS",
    paper:
      "Survival of the Most Influential Prompts: Efficient Black-Box Prompt Search via Clustering and Pruning",
    arxiv: "2310.12774",
    area: "prompt",
    sentence:
      "Finds a short prompt that makes a frozen model classify better, by searching only among the tokens that matter.",
  },
  {
    slug: "ept",
    name: "EPT",
    paper: "Efficient Prompt Tuning by Multi-Space Projection and Prompt Fusion",
    arxiv: "2405.11464",
    area: "prompt",
    sentence: "Adapts a frozen model by training a short soft prompt and small matrices.",
  },
  {
    slug: "batchprompt",
    name: "BatchPrompt",
    paper: "BatchPrompt: Accomplish more with less",
    arxiv: "2309.00384",
    area: "prompt",
    sentence:
      "Labels many short items in one prompt, with permuted rounds and votes that keep the accuracy.",
  },
  {
    slug: "bialign",
    name: "BiAlign",
    paper: "Improving In-context Learning via Bidirectional Alignment",
    arxiv: "2312.17055",
    area: "prompt",
    sentence:
      "Distils a model so that the small one also agrees with the large one on which demonstrations help.",
  },
  {
    slug: "lance",
    name: "LANCE",
    paper: "Contextual API Completion for Unseen Repositories Using LLMs",
    arxiv: "2405.04600",
    area: "code",
    sentence:
      "Completes calls to a repository's own functions, which no model has seen in training.",
  },
  {
    slug: "codefill",
    name: "CodeFill",
    paper:
      "CodeFill: Multi-token Code Completion by Jointly Learning from Structure and Naming Sequences",
    arxiv: "2202.06689",
    area: "code",
    sentence: "Completes code from names and syntax types learned together, ranked again by scope.",
  },
  {
    slug: "typed-holes",
    name: "Typed holes",
    paper: "Statically Contextualizing Large Language Models with Typed Holes",
    arxiv: "2409.00921",
    area: "code",
    sentence:
      "Fills a hole in a program with the types and headers that the compiler knows to be relevant there.",
  },
  {
    slug: "cubert",
    name: "CuBERT",
    paper: "Learning and Evaluating Contextual Embedding of Source Code",
    arxiv: "2001.00059",
    area: "code",
    sentence:
      "An encoder for source code that finds misused variables, wrong operators and swapped operands.",
  },
  {
    slug: "flowar",
    name: "FlowAR",
    paper: "FlowAR: Scale-wise Autoregressive Image Generation Meets Flow Matching",
    arxiv: "2412.15205",
    area: "image",
    sentence: "Generates images of a class from coarse to fine, over any continuous autoencoder.",
  },
  {
    slug: "read-seg",
    name: "READ",
    paper: "Reasoning to Attend: Try to Understand How <SEG> Token Works",
    arxiv: "2412.17741",
    area: "image",
    sentence:
      "Turns the similarity of a segmentation token with image tokens into points that sharpen the mask.",
  },
  {
    slug: "token-merging-t2i",
    name: "ToMe",
    paper: "Token Merging for Training-Free Semantic Binding in Text-to-Image Synthesis",
    arxiv: "2411.07132",
    area: "image",
    sentence:
      "Merges the tokens of an object and its attributes, so that an image does not swap them.",
  },
  {
    slug: "correlation-compression",
    name: "Correlation-guided compression",
    paper:
      "Token-level Correlation-guided Compression for Efficient Multimodal Document Understanding",
    arxiv: "2407.14439",
    area: "image",
    sentence:
      "Shortens the image tokens of cropped pages by how much each crop holds, without training.",
  },
  {
    slug: "preselect",
    name: "PreSelect",
    paper: "Predictive Data Selection: The Data That Predicts Is the Data That Teaches",
    arxiv: "2503.00808",
    area: "curate",
    sentence:
      "Scores documents by how well models' losses on them predict the models' ranks, and keeps the best tenth.",
  },
  {
    slug: "qtok",
    name: "Qtok",
    paper:
      "Qtok: A Comprehensive Framework for Evaluating Multilingual Tokenizer Quality in Large Language Models",
    arxiv: "2410.12989",
    area: "evaluate",
    sentence:
      "Says what a tokenizer's vocabulary is made of: words, pieces, fragments, scripts and languages.",
    reproduction: () => import("./evaluate/qtok/reproduction.ts"),
  },
  {
    slug: "needle-threading",
    name: "Needle Threading",
    paper: "Needle Threading: Can LLMs Follow Threads through Near-Million-Scale Haystacks?",
    arxiv: "2411.05000",
    area: "evaluate",
    sentence:
      "Measures how much of its context a model can really use, from one lookup to chains of them.",
    reproduction: () => import("./evaluate/needle-threading/reproduction.ts"),
  },
  {
    slug: "rag-token-metrics",
    name: "RAG token metrics",
    paper:
      "Enhancing Domain-Specific RAG: Synthetic Data Generation and Evaluation using Reasoning Models",
    arxiv: "2502.15854",
    area: "evaluate",
    sentence:
      "Measures, token by token, whether retrieval returns exactly the passages that were needed.",
    reproduction: () => import("./evaluate/rag-token-metrics/reproduction.ts"),
  },
  {
    slug: "coir",
    name: "CoIR",
    paper: "CoIR: A Comprehensive Benchmark for Code Information Retrieval Models",
    arxiv: "2407.02883",
    area: "evaluate",
    sentence: "Measures which embedder or search engine finds the right code for a kind of query.",
    reproduction: () => import("./evaluate/coir/reproduction.ts"),
  },
  {
    slug: "klue",
    name: "KLUE",
    paper: "KLUE: Korean Language Understanding Evaluation",
    arxiv: "2105.09680",
    area: "evaluate",
    sentence:
      "Eight Korean tasks with fixed formats and metrics, and tokenizers that respect morphemes.",
  },
];
