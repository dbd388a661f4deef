/** What a `config.json` says of heads alone. */
import { type Fields, given, invalid, readActivation } from "../../decoder/config-fields.ts";
import type { Activation } from "../../layers/activation.ts";
import { eurobertFamily } from "../backbone/backbone-config.ts";

/** Keys that only the heads of some families read. */
export interface HeadOptions {
  /** DeBERTa: of the pooler. */
  readonly poolerActivation: Activation;
  /** ModernBERT and EuroBERT: which positions a sequence head reads; `late`: the mean is taken of what each gives. */
  readonly classifierPooling: "cls" | "mean" | "late";
  /** ModernBERT: a bias of the prediction head's dense layer. */
  readonly classifierBias: boolean;
  readonly classifierActivation: Activation;
  /** A bias of the masked-language-model head. */
  readonly decoderBias: boolean;
}

const eurobertPoolings: Readonly<Record<string, HeadOptions["classifierPooling"]>> = {
  bos: "cls",
  mean: "mean",
  late: "late",
};

function classifierPooling(fields: Fields): HeadOptions["classifierPooling"] {
  const isEurobert = fields["model_type"] === eurobertFamily;
  // Published files have the name of their authors, which transformers 5.18 does not read.
  const isOld = isEurobert && !given(fields["classifier_pooling"]);
  const key = isOld ? "clf_pooling" : "classifier_pooling";
  const stated = fields[key] ?? (isEurobert ? "late" : "cls");
  const known = isEurobert ? eurobertPoolings : { cls: "cls" as const, mean: "mean" as const };
  const own = Object.entries(known).find(([name]) => name === stated);
  if (own) return own[1];
  throw invalid(key, stated, Object.keys(known).join(" or "));
}

/** What a `config.json` says of heads. @throws JetonError `model-config-invalid` */
export function headOptions(fields: Fields): HeadOptions {
  return {
    poolerActivation: readActivation("pooler_hidden_act", fields["pooler_hidden_act"] ?? "gelu"),
    classifierPooling: classifierPooling(fields),
    classifierBias: fields["classifier_bias"] === true,
    classifierActivation: readActivation(
      "classifier_activation",
      fields["classifier_activation"] ?? "gelu",
    ),
    decoderBias: fields["decoder_bias"] !== false,
  };
}
